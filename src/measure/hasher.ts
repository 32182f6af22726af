import type { HashAlgorithm } from '../crypto/provider.js';

/** A digest computed piece by piece; node:crypto's Hash and noble's hashes fit. */
export interface Hasher {
  update(data: Uint8Array): unknown;
  /** The digest of everything so far; the hasher is used up. */
  digest(): Uint8Array;
}

/** Starts a digest. */
export type CreateHasher = (algorithm: HashAlgorithm) => Hasher;
