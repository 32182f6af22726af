import { p256, p384 } from '@noble/curves/nist.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { ALGORITHMS } from './algorithms.js';
import type { CryptoProvider, SyncCrypto } from './provider.js';

const HASHES = { 'SHA-1': sha1, 'SHA-256': sha256, 'SHA-384': sha384, 'SHA-512': sha512 } as const;
const CURVES = { 'P-256': p256, 'P-384': p384 } as const;

const sync: SyncCrypto = {
  digest: (algorithm, data) => HASHES[algorithm](data),
  verify(algorithm, publicKey, message, signature) {
    const { curve, coordinateBytes } = ALGORITHMS[algorithm];
    if (publicKey.length !== 1 + 2 * coordinateBytes || publicKey[0] !== 4) return false;
    if (signature.length !== 2 * coordinateBytes) return false;
    try {
      // lowS defaults to true and would refuse half of what AWS and TPMs sign.
      const options = { lowS: false, prehash: true, format: 'compact' } as const;
      return CURVES[curve].verify(signature, message, publicKey, options);
    } catch {
      return false; // not a point of the curve
    }
  },
};

/** A provider in plain JavaScript (@noble): works everywhere, and is slower by a factor of ten. */
export function createNobleProvider(): CryptoProvider {
  return {
    name: 'noble',
    digest: async (algorithm, data) => sync.digest(algorithm, data),
    verify: async (algorithm, publicKey, message, signature) =>
      sync.verify(algorithm, publicKey, message, signature),
    sync,
  };
}
