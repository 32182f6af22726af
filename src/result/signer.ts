import type { JWK } from 'jose';

/** Signature algorithms of manifests and results (RFC 7518, 3.4; RFC 8037, 3.1). */
export type JwsAlgorithm = 'ES256' | 'ES384' | 'EdDSA';

/**
 * Something that signs: a private key here (`createSigner`), or one that never leaves a key service
 * such as AWS KMS.
 */
export interface Signer {
  readonly algorithm: JwsAlgorithm;
  /** Goes into the header as `kid`. */
  readonly keyId?: string;
  /** The public key, where it is known: for the JWK set that verifiers fetch. */
  readonly publicJwk?: JWK;
  /** Certificates of the key, base64 of DER, leaf first: go into the header as `x5c`. */
  readonly certificates?: readonly string[];
  /** The signature over these bytes: r || s for ES256 and ES384, 64 bytes for EdDSA. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}
