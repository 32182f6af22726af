import { type Bytes, copyBytes, equalBytes } from '../src/bytes/bytes.js';
import type { VerifiedClaims } from '../src/proven-claims.js';
import { AttestationError } from '../src/result/attestation-error.js';
import { CLIENT_CODES } from '../src/result/client-codes.js';
import type { AttestedKey } from './public-key.js';

/** Where the attester put its key. */
export type KeyPlace = 'publicKey' | 'userData';

/** What the other side presents: SPKI or point bytes, a JWK, or an extractable CryptoKey. */
export type PresentedKey = Uint8Array | JsonWebKey | CryptoKey;

const SHA256_BYTES = 32;

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
  const bytes = fieldOf(claims, place);
  const { readPublicKey } = await import('./public-key.js');
  return readPublicKey(bytes, rawAs);
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
  const attested = fieldOf(claims, place);
  const copy =
    presented instanceof Uint8Array
      ? copyBytes(presented)
      : isCryptoKey(presented)
        ? new Uint8Array(await crypto.subtle.exportKey('spki', presented))
        : { ...presented };
  const { readJwk, readPublicKey } = await import('./public-key.js');
  const key = await (copy instanceof Uint8Array ? readPublicKey(copy, undefined) : readJwk(copy));
  const isSame =
    attested.length === SHA256_BYTES
      ? equalBytes(attested, key.spkiSha256)
      : equalBytes((await readPublicKey(attested, undefined)).spki, key.spki);
  if (!isSame) throw new AttestationError(CLIENT_CODES['binding.key-mismatch']);
  return key;
}

function fieldOf(claims: VerifiedClaims, place: KeyPlace): Bytes {
  if (place !== 'publicKey' && place !== 'userData')
    throw new TypeError("place must be 'publicKey' or 'userData'");
  const bytes = place === 'publicKey' ? claims.publicKeyBytes : claims.userDataBytes;
  if (bytes === undefined || bytes.length === 0)
    throw new AttestationError(CLIENT_CODES['binding.key-missing'], { expected: place });
  return copyBytes(bytes);
}

/** A runtime without the class has no such keys either. */
function isCryptoKey(key: JsonWebKey | CryptoKey): key is CryptoKey {
  return typeof CryptoKey === 'function' && key instanceof CryptoKey;
}
