import type { VerifiedClaims } from '../src/proven-claims.js';
import type { AttestedKey, Field } from './public-key.js';

/** Where the attester put its key. */
export type KeyPlace = 'publicKey' | 'userData';

/** What the other side presents: SPKI or point bytes, a JWK, or an extractable CryptoKey. */
export type PresentedKey = Uint8Array | JsonWebKey | CryptoKey;

/**
 * The key that the attester put into `public_key` (or `user_data`), so that what follows can be
 * bound to it: SPKI, an uncompressed P-256 or P-384 point, or a JWK as JSON text; P-256, P-384,
 * X25519, Ed25519 and RSA from 2048 bits. `rawAs` says that the bytes are a bare X25519 or Ed25519
 * key, which nothing in 32 bytes shows.
 *
 * In a bundle `public_key` is the TPM's attestation key: it signs quotes only. Put the key of a
 * session into `user_data` there.
 *
 * Throws `binding.key-missing`, `binding.key-unsupported`.
 */
export async function readAttestedKey(
  claims: VerifiedClaims,
  place: KeyPlace = 'publicKey',
  rawAs?: 'X25519' | 'Ed25519',
): Promise<AttestedKey> {
  const field = fieldOf(claims, place);
  return (await import('./public-key.js')).readField(field, place, rawAs);
}

/**
 * Demands that a key presented by the other side is the attested one, and returns it: the place
 * holds the same key in any form, or the SHA-256 of its SPKI as 32 bytes.
 *
 * Throws `binding.key-mismatch`, `binding.key-missing`, `binding.key-unsupported`.
 */
export async function requireAttestedKey(
  claims: VerifiedClaims,
  presented: PresentedKey,
  place: KeyPlace = 'publicKey',
): Promise<AttestedKey> {
  const field = fieldOf(claims, place);
  const copy = structuredClone(presented);
  return (await import('./public-key.js')).requireField(field, place, copy);
}

function fieldOf(claims: VerifiedClaims, place: KeyPlace): Field {
  return structuredClone(claims[`${place}Bytes`]);
}
