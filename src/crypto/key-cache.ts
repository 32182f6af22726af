import { encodeHex } from '../bytes/hex.js';
import type { SignatureAlgorithm } from './provider.js';

/** CA keys recur in every document, an instance's and its leaf's for hours. */
const CAPACITY = 64;

/**
 * Imported public keys by their points, least recently used forgotten first: importing a key costs
 * a quarter of verifying with it.
 */
export class KeyCache<Key> {
  readonly #keys = new Map<string, Key>();

  /** The imported key, imported now when it is not there. */
  get(algorithm: SignatureAlgorithm, point: Uint8Array, importKey: () => Key): Key {
    const name = `${algorithm} ${encodeHex(point)}`;
    const known = this.#keys.get(name);
    const key = known ?? importKey();
    if (known !== undefined) this.#keys.delete(name);
    this.#keys.set(name, key);
    if (this.#keys.size > CAPACITY) {
      const [oldest] = this.#keys.keys();
      this.#keys.delete(oldest as string);
    }
    return key;
  }
}
