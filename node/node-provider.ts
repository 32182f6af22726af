import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { ALGORITHMS } from '../src/crypto/algorithms.js';
import { KeyCache } from '../src/crypto/key-cache.js';
import type { CryptoProvider, SignatureAlgorithm, SyncCrypto } from '../src/crypto/provider.js';

const HASHES = {
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
} as const;

/** SubjectPublicKeyInfo up to the point (RFC 5480, 2): the cheapest way into a KeyObject. */
const SPKI_PREFIX: Readonly<Record<SignatureAlgorithm, Uint8Array>> = {
  ES256: Uint8Array.from(
    Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'),
  ),
  ES384: Uint8Array.from(Buffer.from('3076301006072a8648ce3d020106052b81040022036200', 'hex')),
};

const keys = new KeyCache<KeyObject | undefined>();

/** The key, or undefined when it is not a point of the curve. */
function importKey(algorithm: SignatureAlgorithm, publicKey: Uint8Array): KeyObject | undefined {
  const { coordinateBytes } = ALGORITHMS[algorithm];
  if (publicKey.length !== 1 + 2 * coordinateBytes || publicKey[0] !== 4) return undefined;
  return keys.get(algorithm, publicKey, () => {
    try {
      const der = Buffer.concat([SPKI_PREFIX[algorithm], publicKey]);
      return createPublicKey({ key: der, format: 'der', type: 'spki' });
    } catch {
      return undefined;
    }
  });
}

const sync: SyncCrypto = {
  digest: (algorithm, data) => new Uint8Array(createHash(HASHES[algorithm]).update(data).digest()),
  verify(algorithm, publicKey, message, signature) {
    const { hash, coordinateBytes } = ALGORITHMS[algorithm];
    if (signature.length !== 2 * coordinateBytes) return false;
    const key = importKey(algorithm, publicKey);
    return (
      key !== undefined &&
      verify(HASHES[hash], message, { key, dsaEncoding: 'ieee-p1363' }, signature)
    );
  },
};

/**
 * A provider over node:crypto. Signatures are verified on libuv's threads, so that the ones of a
 * document run side by side; the synchronous form runs on the calling thread.
 */
export function createNodeProvider(): CryptoProvider {
  return {
    name: 'node:crypto',
    digest: async (algorithm, data) => sync.digest(algorithm, data),
    verify(algorithm, publicKey, message, signature) {
      const { hash, coordinateBytes } = ALGORITHMS[algorithm];
      if (signature.length !== 2 * coordinateBytes) return Promise.resolve(false);
      const key = importKey(algorithm, publicKey);
      if (key === undefined) return Promise.resolve(false);
      return new Promise((resolve, reject) => {
        verify(
          HASHES[hash],
          message,
          { key, dsaEncoding: 'ieee-p1363' },
          signature,
          (error, valid) => (error ? reject(error) : resolve(valid)),
        );
      });
    },
    sync,
  };
}
