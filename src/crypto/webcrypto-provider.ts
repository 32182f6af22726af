import type { Bytes } from '../bytes/bytes.js';
import { ALGORITHMS } from './algorithms.js';
import { KeyCache } from './key-cache.js';
import type { CryptoProvider } from './provider.js';

/** The SubtleCrypto of this runtime, undefined where there is none (e.g. an insecure origin). */
export function findSubtleCrypto(): SubtleCrypto | undefined {
  return (globalThis as { crypto?: { subtle?: SubtleCrypto } }).crypto?.subtle;
}

/**
 * A provider over WebCrypto. Keys are imported as raw points, which costs a third of SPKI.
 * Throws nothing for bad keys or signatures: they are simply not valid.
 */
export function createWebCryptoProvider(subtle: SubtleCrypto): CryptoProvider {
  const keys = new KeyCache<Promise<CryptoKey | undefined>>();
  return {
    name: 'webcrypto',
    async digest(algorithm, data) {
      return new Uint8Array(await subtle.digest(algorithm, data as Bytes));
    },
    async verify(algorithm, publicKey, message, signature) {
      const { curve, hash, coordinateBytes } = ALGORITHMS[algorithm];
      if (publicKey.length !== 1 + 2 * coordinateBytes || publicKey[0] !== 4) return false;
      if (signature.length !== 2 * coordinateBytes) return false;
      const imported = keys.get(algorithm, publicKey, () =>
        subtle
          .importKey('raw', publicKey as Bytes, { name: 'ECDSA', namedCurve: curve }, false, [
            'verify',
          ])
          .catch(() => undefined),
      );
      const key = await imported;
      if (key === undefined) return false; // not a point of the curve
      return subtle.verify({ name: 'ECDSA', hash }, key, signature as Bytes, message as Bytes);
    },
  };
}
