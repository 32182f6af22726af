import { base64UrlDigits, encodeBase64Url } from '../bytes/base64-encode.js';
import { asciiBytes, concatBytes } from '../bytes/bytes.js';
import type { Signer } from '../result/signer.js';

/** A JWS of one signature, in parts (RFC 7515, 7.2.2). */
export interface FlattenedJws {
  readonly payload: string;
  readonly protected: string;
  readonly signature: string;
}

/** Signs bytes (RFC 7515, 5.1). The signer's algorithm, key id and certificates join the header. */
export async function signJws(
  payload: Uint8Array,
  header: Readonly<Record<string, unknown>>,
  signer: Signer,
): Promise<FlattenedJws> {
  const { algorithm, keyId, certificates } = signer;
  const text = JSON.stringify({
    alg: algorithm,
    ...(keyId !== undefined && { kid: keyId }),
    ...(certificates !== undefined && { x5c: certificates }),
    ...header,
  });
  const header64 = base64UrlDigits(new TextEncoder().encode(text));
  const input = concatBytes(header64, asciiBytes('.'), base64UrlDigits(payload));
  const signed = new TextDecoder().decode(input);
  const signature = await signer.sign(input);
  const expected = algorithm === 'ES384' ? 96 : 64;
  if (!(signature instanceof Uint8Array) || signature.length !== expected)
    throw new TypeError(`a signer for ${algorithm} must give ${expected} bytes (r || s)`);
  return {
    payload: signed.slice(header64.length + 1),
    protected: signed.slice(0, header64.length),
    signature: encodeBase64Url(signature),
  };
}

/** The compact form (RFC 7515, 7.1). */
export function compactJws(jws: FlattenedJws): string {
  return `${jws.protected}.${jws.payload}.${jws.signature}`;
}
