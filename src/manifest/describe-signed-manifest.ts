import { decodeBase64 } from '../bytes/base64.js';
import type { Bytes } from '../bytes/bytes.js';
import { isPlainObject } from '../bytes/plain-object.js';
import { reject } from '../result/attestation-error.js';
import { parseJws } from './parse-jws.js';

/** What a signed manifest says of itself; nothing of it is verified. */
export interface SignedManifestDescription {
  readonly verified: false;
  /** The manifest's bytes. */
  readonly payload: Bytes;
  /** The protected header of each signature. */
  readonly signatures: readonly Readonly<Record<string, unknown>>[];
}

/**
 * Takes a signed manifest apart without verifying anything, for looking at it. Throws
 * `manifest.signature-invalid` and `manifest.malformed`.
 */
export function describeSignedManifest(input: string | object): SignedManifestDescription {
  const { payload, signatures } = parseJws(input);
  return {
    verified: false,
    payload: decode(payload, 'the payload'),
    signatures: signatures.map(({ protected: header }) => readHeader(header)),
  };
}

function readHeader(encoded: string): Readonly<Record<string, unknown>> {
  const bytes = decode(encoded, 'a protected header');
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isPlainObject(json)) return json;
  } catch {
    // Said below.
  }
  reject('manifest.signature-invalid', 'a protected header of JSON', 'something else');
}

function decode(encoded: string, what: string): Bytes {
  const bytes = decodeBase64(encoded);
  if (bytes === undefined)
    reject('manifest.signature-invalid', `${what} in base64url`, 'something else');
  return bytes;
}
