import type { JWK } from 'jose';
import type { TrustAnchor } from '../x509/trust-anchors.js';
import { toObject } from './parse-manifest.js';

/** A public key that may sign manifests: a JWK, or PEM text with `PUBLIC KEY` blocks. */
export type ManifestKey = JWK | string;

/** Who may sign manifests, and how many of them must. */
export interface ManifestSigners {
  /** Public keys. */
  readonly keys?: readonly ManifestKey[] | ManifestKey;
  /**
   * Roots (PEM, DER, or `{ sha256 }`) of signers that send a certificate chain (`x5c`) along. P-384
   * with ecdsa-with-SHA384 throughout. Everybody whom such a root certifies may sign: use a CA that
   * does nothing else.
   */
  readonly anchors?: readonly TrustAnchor[];
  /** How many different signers are needed; default 1. */
  readonly threshold?: number;
  /** The lowest acceptable manifest version: what was accepted before. Default: none needed. */
  readonly minVersion?: number;
}

/** Who may sign manifests: keys, a JWK set, PEM text, or all the rules. */
export type ManifestKeys = readonly ManifestKey[] | ManifestSigners | string;

/** How many signatures are looked at. */
export const MAX_SIGNATURES = 16;

type JsonObject = Readonly<Record<string, unknown>>;

const COMPACT_JWS = /^\s*[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\s*$/;

/** Whether a text is a JWS in compact form. */
export function isCompactJws(text: string): boolean {
  return COMPACT_JWS.test(text);
}

/** Whether the input is a JWS: compact, or JSON with a signature. */
export function isSignedManifest(input: string | object): boolean {
  if (typeof input === 'string' && isCompactJws(input)) return true;
  const json = toObject(input);
  return (
    Object.hasOwn(json, 'payload') &&
    (Object.hasOwn(json, 'signatures') || Object.hasOwn(json, 'signature'))
  );
}

/** The texts of a JWS in JSON form, read once: what the caller changes later does not matter. */
export function copyJws(json: JsonObject): object {
  const pick = (from: JsonObject, names: readonly string[]): object =>
    Object.fromEntries(
      names.filter((name) => Object.hasOwn(from, name)).map((name) => [name, from[name]]),
    );
  const own = pick(json, ['payload', 'protected', 'signature']);
  if (!Object.hasOwn(json, 'signatures')) return own;
  const { signatures } = json;
  const list: unknown = Array.isArray(signatures)
    ? signatures
        .slice(0, MAX_SIGNATURES + 1)
        .map((one: unknown) => pick((one ?? {}) as JsonObject, ['protected', 'signature']))
    : undefined;
  return { ...own, signatures: list };
}
