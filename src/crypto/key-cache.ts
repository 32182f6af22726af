import { encodeHex } from '../bytes/hex.js';
import { RecentlyUsed } from '../bytes/recently-used.js';
import type { SignatureAlgorithm } from './provider.js';

/** CA keys recur in every document, an instance's and its leaf's for hours. */
const CAPACITY = 64;

/**
 * Imported public keys by their points: importing a key costs a quarter of verifying with it.
 */
export class KeyCache<Key> {
  readonly #keys = new RecentlyUsed<Key>(CAPACITY);

  /** The imported key, imported now when it is not there. */
  get(algorithm: SignatureAlgorithm, point: Uint8Array, importKey: () => Key): Key {
    const name = `${algorithm} ${encodeHex(point)}`;
    return this.#keys.get(name) ?? this.#keys.set(name, importKey());
  }
}
