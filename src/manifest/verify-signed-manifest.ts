import {
  type CryptoKey,
  compactVerify,
  type FlattenedJWSInput,
  flattenedVerify,
  type GeneralJWSInput,
  generalVerify,
  importJWK,
  type JWK,
} from 'jose';
import { AttestationError } from '../result/attestation-error.js';
import { parseManifest, toObject } from './parse-manifest.js';
import type { ReferenceManifest } from './reference-manifest.js';
import { isCompactJws, type ManifestKeys } from './signed-manifest.js';

/** `typ` of the JWS header, so that no token made for another purpose passes as a manifest. */
export const MANIFEST_TYP = 'tee-manifest+jws';

const ALGORITHMS = ['ES256', 'ES384', 'EdDSA', 'Ed25519'];
const MAX_KEYS = 64;

/**
 * Verifies a signed manifest (RFC 7515: compact, flattened or general JSON; ES256, ES384, EdDSA;
 * `typ` must be `tee-manifest+jws`) and reads it. One signature by one of the keys suffices.
 * Throws `manifest.signature-invalid`, and what `parseManifest` throws.
 */
export async function verifySignedManifest(
  input: string | object,
  manifestKeys: ManifestKeys,
): Promise<ReferenceManifest> {
  const keys = listKeys(manifestKeys);
  const compact = typeof input === 'string' && isCompactJws(input) ? input.trim() : undefined;
  const json = compact === undefined ? toObject(input) : undefined;
  let cause: unknown;
  for (const jwk of keys) {
    try {
      const key = (await importJWK(jwk, jwk.alg ?? algorithmOf(jwk))) as CryptoKey;
      const options = { algorithms: ALGORITHMS };
      const result =
        compact !== undefined
          ? await compactVerify(compact, key, options)
          : json !== undefined && Object.hasOwn(json, 'signatures')
            ? await generalVerify(json as unknown as GeneralJWSInput, key, options)
            : await flattenedVerify(json as unknown as FlattenedJWSInput, key, options);
      if (result.protectedHeader?.typ !== MANIFEST_TYP)
        throw new AttestationError('manifest.signature-invalid', {
          expected: `typ ${MANIFEST_TYP} in the protected header`,
          actual: String(result.protectedHeader?.typ ?? 'none').slice(0, 64),
        });
      const keyIds = [jwk.kid ?? 'unnamed key'];
      return parseManifest(result.payload, { source: 'signature', keyIds });
    } catch (error) {
      if (error instanceof AttestationError) throw error;
      cause = error;
    }
  }
  throw new AttestationError('manifest.signature-invalid', {
    expected: `a signature by one of ${keys.length} keys`,
    actual: 'none that verifies',
    cause,
  });
}

function listKeys(manifestKeys: ManifestKeys): readonly JWK[] {
  const keys: unknown = Array.isArray(manifestKeys)
    ? manifestKeys
    : (manifestKeys as { keys?: unknown }).keys;
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAX_KEYS)
    throw new TypeError(`manifestKeys must be a list or a set of 1 to ${MAX_KEYS} JWKs`);
  for (const key of keys as readonly JWK[])
    if (typeof key?.kty !== 'string' || key.kty === 'oct' || key.d !== undefined)
      throw new TypeError('manifestKeys must be public keys in JWK form');
  return keys as readonly JWK[];
}

function algorithmOf(jwk: JWK): string {
  if (jwk.kty === 'OKP') return 'EdDSA';
  return jwk.crv === 'P-384' ? 'ES384' : 'ES256';
}
