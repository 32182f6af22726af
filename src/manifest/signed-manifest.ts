import type { JWK } from 'jose';
import { toObject } from './parse-manifest.js';

/** Public keys that may sign manifests: JWKs, or a JWK set. */
export type ManifestKeys = readonly JWK[] | { readonly keys: readonly JWK[] };

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
