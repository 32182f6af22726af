import type { Bytes } from '../bytes/bytes.js';
import type { HashAlgorithm } from '../crypto/provider.js';

/** rsaEncryption, 1.2.840.113549.1.1.1. */
export const OID_RSA = '2a864886f70d010101';

/** Hash algorithms by OID, as hex of the DER contents. */
export const HASH_OIDS: Readonly<Record<string, HashAlgorithm>> = {
  '2b0e03021a': 'SHA-1',
  '608648016503040201': 'SHA-256',
  '608648016503040202': 'SHA-384',
  '608648016503040203': 'SHA-512',
};

/** RSA with PKCS #1 v1.5 (RFC 8017, A.2.4), by OID. */
export const RSA_SIGNATURE_OIDS: Readonly<Record<string, HashAlgorithm>> = {
  '2a864886f70d010105': 'SHA-1',
  '2a864886f70d01010b': 'SHA-256',
  '2a864886f70d01010c': 'SHA-384',
  '2a864886f70d01010d': 'SHA-512',
};

/**
 * Whether an RSA signature (PKCS #1 v1.5) verifies under a SubjectPublicKeyInfo; undefined where it
 * cannot be told: a key that WebCrypto does not take, or no WebCrypto (a page not over HTTPS).
 */
export async function verifyRsa(
  hash: HashAlgorithm,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean | undefined> {
  const { subtle } = (globalThis as { crypto?: { subtle?: SubtleCrypto } }).crypto ?? {};
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash };
  try {
    const key = await subtle?.importKey('spki', publicKey as Bytes, algorithm, false, ['verify']);
    if (subtle === undefined || key === undefined) return undefined;
    return await subtle.verify(algorithm.name, key, signature as Bytes, message as Bytes);
  } catch {
    return undefined; // WebCrypto says no more than that it does not take the key
  }
}
