import { decodeBase64 } from '../bytes/base64.js';
import { asBytes, type Bytes, copyBytes, equalBytes } from '../bytes/bytes.js';
import { decodeHex, encodeHex } from '../bytes/hex.js';
import { RecentlyUsed } from '../bytes/recently-used.js';
import type { Engine } from '../crypto/engine.js';
import { type Flow, wait } from '../crypto/flow.js';
import { parseCertificate } from './certificate.js';

/** A root that the caller trusts: PEM text, DER bytes, or the SHA-256 of its DER. */
export type TrustAnchor = string | Uint8Array | { readonly sha256: string };

/** Anchors in one form, and a name for the whole set, under which chains are remembered. */
export interface TrustAnchors {
  readonly pins: readonly Bytes[];
  readonly certificates: readonly Bytes[];
  readonly id: string;
}

/**
 * SHA-256 over the DER of AWS Nitro Enclaves Root G1 (CN=aws.nitro-enclaves, valid 2019-10-28 to
 * 2049-10-28), as AWS publishes it. It also signs NitroTPM documents.
 */
export const AWS_NITRO_ROOT_G1_SHA256 =
  '641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b';

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----/g;

/**
 * Reads the caller's anchors (default: the AWS Nitro root). A mistake in them is the caller's:
 * TypeError, never a silent "no anchors".
 */
export function resolveTrustAnchors(anchors: readonly TrustAnchor[] | undefined): TrustAnchors {
  return anchors === undefined ? AWS_ANCHORS : readAnchors(anchors);
}

function readAnchors(list: readonly TrustAnchor[]): TrustAnchors {
  if (!Array.isArray(list) || list.length === 0)
    throw new TypeError('trustAnchors must be a list with an anchor');
  const pins: Bytes[] = [];
  const certificates: Bytes[] = [];
  const names: string[] = [];
  const add = (known: KnownPem): void => {
    certificates.push(...known.ders);
    names.push(...known.names);
  };
  for (const anchor of list) {
    if (typeof anchor === 'string') add(readPem(anchor));
    else if (asBytes(anchor) !== undefined) add(readBytes(asBytes(anchor) as Uint8Array));
    else if (typeof anchor === 'object' && anchor !== null && 'sha256' in anchor) {
      const pin = readPin(anchor.sha256);
      pins.push(pin);
      names.push(`p${encodeHex(pin)}`);
    } else throw new TypeError('a trust anchor is PEM text, DER bytes or { sha256 }');
  }
  const name = names.sort().join();
  return { pins, certificates, id: knownSets.get(name) ?? knownSets.set(name, `set ${nextSet++}`) };
}

/** Whether a certificate is an anchor: equal to one byte for byte, or by its pin. */
export function* isTrustAnchor(
  der: Uint8Array,
  anchors: TrustAnchors,
  engine: Engine,
): Flow<boolean> {
  if (anchors.certificates.some((certificate) => equalBytes(certificate, der))) return true;
  if (anchors.pins.length === 0) return false;
  const digest = yield* wait(engine.digest('SHA-256', der));
  return anchors.pins.some((pin) => equalBytes(pin, digest));
}

/**
 * Short names of sets, never used twice (a set that was forgotten gets a new one), and unlike the
 * ids of remembered certificates: below an id something else is remembered.
 */
const knownSets = new RecentlyUsed<string>(64);
let nextSet = 0;

/** The certificates of a PEM text, and a name for each. */
interface KnownPem {
  readonly ders: readonly Bytes[];
  readonly names: readonly string[];
}

/** PEM texts that were read before: the same one comes with every call. Texts can't change. */
const knownPem = new RecentlyUsed<KnownPem>(16);

function readPem(text: string): KnownPem {
  const known = knownPem.get(text);
  if (known !== undefined) return known;
  const found = [...text.matchAll(PEM)].map(([, body]) =>
    decodeBase64((body as string).replace(/\s/g, '')),
  );
  // Every block must be readable: an anchor that is silently dropped is a wrong no.
  const announced = text.split('-----BEGIN CERTIFICATE-----').length - 1;
  if (found.length === 0 || found.length !== announced || found.includes(undefined))
    throw new TypeError('a trust anchor as text must be PEM certificates');
  for (const der of found as Bytes[]) checkCertificate(der);
  const ders = found as Bytes[];
  return knownPem.set(text, { ders, names: ders.map((der) => `c${encodeHex(der)}`) });
}

/** DER, or the bytes of a PEM file. */
function readBytes(bytes: Uint8Array): KnownPem {
  if (bytes[0] === 0x2d) return readPem(new TextDecoder().decode(bytes));
  checkCertificate(bytes);
  const der = copyBytes(bytes);
  return { ders: [der], names: [`c${encodeHex(der)}`] };
}

/** An anchor that is no certificate would match nothing: a silent "no anchors". */
function checkCertificate(der: Uint8Array): void {
  try {
    parseCertificate(der, 'trust anchor');
  } catch (cause) {
    throw new TypeError(`a trust anchor is not a certificate: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function readPin(hex: unknown): Bytes {
  const pin = typeof hex === 'string' ? decodeHex(hex.replaceAll(':', '')) : undefined;
  if (pin?.length !== 32) throw new TypeError('a pin is a SHA-256, 64 hex digits');
  return pin;
}

const AWS_ANCHORS: TrustAnchors = readAnchors([{ sha256: AWS_NITRO_ROOT_G1_SHA256 }]);
