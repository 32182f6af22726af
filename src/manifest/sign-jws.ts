import { encodeBase64Url, encodeTextBase64Url } from '../bytes/base64-encode.js';
import type { Signer } from '../result/signer.js';

/** A JWS of one signature, in parts (RFC 7515, 7.2.2). */
export interface FlattenedJws {
  readonly payload: string;
  readonly protected: string;
  readonly signature: string;
}

/**
 * Signs what `payload` is the base64url of (RFC 7515, 5.1). The signer's algorithm, key id and
 * certificates join the header.
 */
export async function signJws(
  payload: string,
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
  const protectedHeader = encodeTextBase64Url(text);
  const signature = await signer.sign(new TextEncoder().encode(`${protectedHeader}.${payload}`));
  const expected = algorithm === 'ES384' ? 96 : 64;
  if (!(signature instanceof Uint8Array) || signature.length !== expected)
    throw new TypeError(`a signer for ${algorithm} must give ${expected} bytes (r || s)`);
  return { payload, protected: protectedHeader, signature: encodeBase64Url(signature) };
}

/** The compact form (RFC 7515, 7.1). */
export function compactJws(jws: FlattenedJws): string {
  return `${jws.protected}.${jws.payload}.${jws.signature}`;
}
