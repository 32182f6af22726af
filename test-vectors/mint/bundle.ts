import { encodeHex } from '../../src/bytes/hex.js';
import { type DocumentOverrides, mintDocument } from './document.js';
import { nitroTpmPcrs, type Pcrs } from './pcrs.js';
import type { MintPki } from './pki.js';
import { utf8 } from './raw-cbor.js';
import {
  type MintAk,
  type MintedQuote,
  mintAk,
  mintQuote,
  type QuoteOverrides,
  writeTpmtPublic,
} from './tpm.js';

/** A bundle's JSON, before anything is believed about it. */
// biome-ignore lint/suspicious/noExplicitAny: cases edit it in every possible way
export type BundleJson = any;

/** What to make, and at most one thing to break. */
export interface BundleOverrides {
  readonly form?: 'seed' | 'later';
  readonly nonce?: Uint8Array;
  readonly pcrs?: Pcrs;
  readonly ak?: MintAk;
  readonly document?: DocumentOverrides;
  readonly quote?: QuoteOverrides;
  /** Adds `tpmt_public`: true for the AK's own, or any bytes. */
  readonly tpmtPublic?: Uint8Array | true;
  readonly version?: unknown;
  /** Bytes of a binary_bios_measurements file. */
  readonly eventLog?: Uint8Array;
  /** Changes the JSON, as a sender or a man in the middle could. */
  readonly json?: (bundle: BundleJson) => BundleJson | undefined;
}

/** A bundle and what one needs to verify it. */
export interface MintedBundle {
  readonly bundle: BundleJson;
  /** The bundle as JSON text bytes. */
  readonly evidence: Uint8Array;
  readonly nonce: Uint8Array;
  /** The document's time: pass it as `now`. */
  readonly timeMs: number;
  readonly anchorPem: string;
  /** A manifest (own format) that the bundle satisfies. */
  readonly manifest: OwnManifest;
  readonly document: Uint8Array;
  readonly quote: MintedQuote;
}

/** Reference manifest in our own format, as far as minting needs it. */
export interface OwnManifest {
  readonly version: number;
  readonly name: string;
  readonly imageVersion: string;
  readonly platform: 'nitrotpm' | 'enclave';
  readonly hashAlgorithm: string;
  readonly measurementSets: readonly {
    readonly label: string;
    readonly pcrs: Readonly<Record<string, string>>;
    readonly notBefore?: string;
    readonly notAfter?: string;
    readonly revoked?: { readonly reason: string };
  }[];
}

/** Our own manifest format, pinning what a NitroTPM or an enclave needs. */
export function manifestFor(
  pcrs: Pcrs,
  platform: 'nitrotpm' | 'enclave' = 'nitrotpm',
  indexes: readonly number[] = platform === 'nitrotpm' ? [4, 12] : [0, 1, 2],
): OwnManifest {
  return {
    version: 1,
    name: 'sample-image',
    imageVersion: '1.0.0',
    platform,
    hashAlgorithm: 'SHA384',
    measurementSets: [{ label: 'release', pcrs: pinned(pcrs, indexes) }],
  };
}

/** PCR index → lower-case hex. */
export const pinned = (pcrs: Pcrs, indexes: Iterable<number>): Record<string, string> =>
  Object.fromEntries(
    [...indexes].map((index) => [String(index), encodeHex(pcrs.get(index) as Uint8Array)]),
  );

/** A bundle in either form with the given differences from a good one. */
export async function mintBundle(
  pki: MintPki,
  overrides: BundleOverrides = {},
): Promise<MintedBundle> {
  const nonce = overrides.nonce ?? new Uint8Array(32).fill(0x5a);
  const pcrs = overrides.pcrs ?? nitroTpmPcrs();
  const ak = overrides.ak ?? (await mintAk());
  const timeMs = overrides.document?.timestampMs ?? pki.nowMs;
  const document = await mintDocument(pki, {
    pcrs,
    nonce,
    publicKey: ak.point,
    timestampMs: timeMs,
    ...overrides.document,
  });
  const quote = await mintQuote({ ak, nonce, pcrs, ...overrides.quote });
  const written = writeBundle(overrides, { nonce, pcrs, ak, document, quote });
  const bundle = overrides.json?.(written) ?? written;
  return {
    bundle,
    evidence: utf8(JSON.stringify(bundle, null, 2)),
    nonce,
    timeMs,
    anchorPem: pki.anchorPem,
    manifest: manifestFor(pcrs),
    document,
    quote,
  };
}

/** What a bundle is made of. */
export interface BundleContents {
  readonly nonce: Uint8Array;
  readonly pcrs: Pcrs;
  readonly ak: MintAk;
  readonly document: Uint8Array;
  readonly quote: MintedQuote;
}

/** Puts the parts into the form of a bundle. */
export function writeBundle(overrides: BundleOverrides, contents: BundleContents): BundleJson {
  const { nonce, pcrs, ak, document, quote } = contents;
  const { tpmtPublic, eventLog } = overrides;
  const key = {
    x: encodeHex(ak.point.subarray(1, 33)),
    y: encodeHex(ak.point.subarray(33)),
    ...(tpmtPublic === undefined
      ? {}
      : { tpmt_public: encodeHex(tpmtPublic === true ? writeTpmtPublic(ak) : tpmtPublic) }),
  };
  const common = {
    ...(overrides.version === undefined ? {} : { version: overrides.version }),
    pcrs: { sha384: pinned(pcrs, pcrs.keys()) },
    ...(eventLog === undefined ? {} : { event_log: Buffer.from(eventLog).toString('base64') }),
  };
  const attested = {
    attest_data: encodeHex(quote.attestData),
    signature: encodeHex(quote.signature),
  };
  if (overrides.form === 'later')
    return {
      nonce: encodeHex(nonce),
      ...common,
      ak_pubkeys: { ecc_p256: key },
      attestation: {
        tpm: { ecc_p256: attested },
        nitro: { document: encodeHex(document) },
      },
    };
  return {
    ...common,
    signing_key_public_keys: { ecc_p256: key },
    attestation: {
      tpm: { ecc_p256: { nonce: encodeHex(nonce), ...attested } },
      nitro: {
        public_key: encodeHex(ak.point),
        nonce: encodeHex(nonce),
        document: encodeHex(document),
      },
    },
  };
}
