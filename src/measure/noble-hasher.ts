import { sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import type { HashAlgorithm } from '../crypto/provider.js';
import type { Hasher } from './hasher.js';

const HASHES = { 'SHA-1': sha1, 'SHA-256': sha256, 'SHA-384': sha384, 'SHA-512': sha512 } as const;

/** Hashes in plain JavaScript: WebCrypto cannot hash piece by piece. */
export function createNobleHasher(algorithm: HashAlgorithm): Hasher {
  return HASHES[algorithm].create();
}
