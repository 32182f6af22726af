/** Hash algorithms a provider computes. SHA-1 only serves legacy event logs and Authenticode. */
export type HashAlgorithm = 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512';

/** ECDSA with the curve's usual hash: ES256 = P-256 with SHA-256, ES384 = P-384 with SHA-384 (RFC 9053, 2.1). */
export type SignatureAlgorithm = 'ES256' | 'ES384';

/**
 * The synchronous form of a provider. Both functions only ever see public data.
 *
 * `verify` answers false for every signature or key that is not acceptable (wrong length, r or s
 * out of range, point not on the curve): it never throws for bad input. High-S is valid.
 */
export interface SyncCrypto {
  digest(algorithm: HashAlgorithm, data: Uint8Array): Uint8Array;
  verify(
    algorithm: SignatureAlgorithm,
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ): boolean;
}

/**
 * Cryptography behind an interface, so that the same verifier runs over node:crypto, WebCrypto,
 * WebAssembly or plain JavaScript.
 */
export interface CryptoProvider {
  /** Stands in the report: `node:crypto`, `webcrypto`, `wasm`, `noble`, or a name of the caller's. */
  readonly name: string;
  /** The digest of `data`: 20, 32, 48 or 64 bytes. */
  digest(algorithm: HashAlgorithm, data: Uint8Array): Promise<Uint8Array>;
  /**
   * Whether `signature` (r || s, 64 or 96 bytes) over `message` (not yet hashed) verifies under
   * `publicKey` (uncompressed point, 65 or 97 bytes: 04 || x || y). False, never an exception,
   * for anything malformed.
   */
  verify(
    algorithm: SignatureAlgorithm,
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ): Promise<boolean>;
  /** The same without waiting, where the implementation can. */
  readonly sync?: SyncCrypto;
}
