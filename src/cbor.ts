import { encodeHex } from './bytes/hex.js';
import { AttestationError } from './result/attestation-error.js';
import type { Code } from './result/codes.js';

/**
 * What CBOR becomes: integers are numbers (bigint beyond 2^53), byte strings are views into the
 * input, and everything that attestation documents have no use for stays opaque.
 */
export type CborValue =
  | number
  | bigint
  | string
  | boolean
  | null
  | undefined
  | Uint8Array
  | CborOpaque
  | readonly CborValue[]
  | CborMap;

/** A map; keys are looked up by type and value, so that 1 and "1" differ. */
export class CborMap {
  readonly entries: ReadonlyMap<string, readonly [key: CborValue, value: CborValue]>;

  constructor(entries: ReadonlyMap<string, readonly [CborValue, CborValue]>) {
    this.entries = entries;
  }

  /** The value under a text or integer key, undefined when absent. */
  get(key: string | number): CborValue {
    return this.entries.get(identity(key))?.[1];
  }

  /** Whether the key is there (its value may be null or undefined). */
  has(key: string | number): boolean {
    return this.entries.has(identity(key));
  }
}

/** A float or an unassigned simple value: tolerated where nobody looks, never interpreted. */
export class CborOpaque {
  readonly hex: string;

  constructor(hex: string) {
    this.hex = hex;
  }
}

/** Real documents nest three levels deep and have about sixty items. */
const MAX_DEPTH = 8;
const MAX_ITEMS = 1024;

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const INDEFINITE = 31;
const BREAK = 0xff;

/**
 * Decodes exactly one CBOR item (RFC 8949) and nothing behind it.
 *
 * Strict and bounded: no tags, no bignums, no indefinite-length strings, no duplicate keys, valid
 * UTF-8, at most 8 levels and `maxItems` items, nothing allocated by a declared length.
 * Indefinite-length arrays and maps are read, because NitroTPM writes them.
 * Throws `cbor.*`. Why this is not a library: docs/decisions/0002.
 */
export function decodeCbor(
  bytes: Uint8Array,
  what: string,
  maxItems: number = MAX_ITEMS,
): CborValue {
  const decoder = new CborDecoder(bytes, what, maxItems);
  const value = decoder.item(0);
  decoder.end();
  return value;
}

class CborDecoder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  readonly #maxItems: number;
  #at = 0;
  #items = 0;
  #violation: AttestationError | undefined;

  constructor(bytes: Uint8Array, what: string, maxItems: number) {
    this.#maxItems = maxItems;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  item(depth: number): CborValue {
    if (depth > MAX_DEPTH) this.#fail('cbor.limit-exceeded', `at most ${MAX_DEPTH} levels`, 'more');
    if (++this.#items > this.#maxItems)
      this.#fail('cbor.limit-exceeded', `at most ${this.#maxItems} items`, 'more');
    const from = this.#at;
    const initial = this.#u8();
    const major = initial >> 5;
    const info = initial & 31;
    if (info >= 28 && info < INDEFINITE)
      this.#fail('cbor.malformed', 'additional information 0..27 or 31', `${info} (reserved)`);
    switch (major) {
      case 0:
        return this.#argument(info);
      case 1: {
        const argument = this.#argument(info);
        const value = -1n - BigInt(argument);
        return value >= BigInt(Number.MIN_SAFE_INTEGER) ? Number(value) : value;
      }
      case 2:
        return this.#string(info, 'byte string');
      case 3:
        return this.#text(info);
      case 4:
        return this.#array(info, depth);
      case 5:
        return this.#map(info, depth);
      case 6:
        return this.#tagged(info, depth);
      default:
        return this.#simple(info, from);
    }
  }

  end(): void {
    if (this.#violation !== undefined) throw this.#violation;
    const left = this.#bytes.length - this.#at;
    if (left > 0) this.#fail('cbor.trailing-bytes', 'nothing after the item', `${left} more bytes`);
  }

  /** Refused, but only once the rest is known to be well-formed: "cut off" says more than "tag 0". */
  #tagged(info: number, depth: number): CborValue {
    const tag = this.#argument(info);
    this.#violation ??= this.#error('cbor.not-allowed', 'no tag inside a document', `tag ${tag}`);
    return this.item(depth + 1);
  }

  #array(info: number, depth: number): readonly CborValue[] {
    const items: CborValue[] = [];
    this.#repeat(info, 1, () => items.push(this.item(depth + 1)));
    return items;
  }

  #map(info: number, depth: number): CborMap {
    const entries = new Map<string, readonly [CborValue, CborValue]>();
    this.#repeat(info, 2, () => {
      const key = this.item(depth + 1);
      const id = identity(key);
      if (entries.has(id)) this.#fail('cbor.duplicate-key', 'every key once', `${id} twice`);
      if (this.#bytes[this.#at] === BREAK)
        this.#fail('cbor.malformed', 'a value for every key', `a break after key ${id}`);
      entries.set(id, [key, this.item(depth + 1)]);
    });
    return new CborMap(entries);
  }

  /** Runs `read` once an entry: as often as declared, or up to the break. */
  #repeat(info: number, itemsEach: number, read: () => void): void {
    if (info === INDEFINITE) {
      while (this.#bytes[this.#at] !== BREAK) read();
      this.#at++;
      return;
    }
    const count = this.#argument(info);
    // Each item takes a byte at least: a larger count cannot be true, and must not make us loop.
    if (count > Math.floor((this.#bytes.length - this.#at) / itemsEach))
      this.#fail(
        'cbor.truncated',
        `${count} entries`,
        `${this.#bytes.length - this.#at} bytes left`,
      );
    for (let i = 0; i < count; i++) read();
  }

  #text(info: number): string {
    const bytes = this.#string(info, 'text');
    try {
      return UTF_8.decode(bytes);
    } catch (cause) {
      throw new AttestationError('cbor.invalid-utf8', {
        expected: `${this.#what}: UTF-8 text`,
        actual: `${encodeHex(bytes.subarray(0, 16))} (offset ${this.#at - bytes.length})`,
        cause,
      });
    }
  }

  #string(info: number, kind: string): Uint8Array {
    if (info === INDEFINITE)
      this.#fail('cbor.not-allowed', `a ${kind} of definite length`, 'an indefinite one');
    const length = this.#argument(info);
    if (length > this.#bytes.length - this.#at)
      this.#fail(
        'cbor.truncated',
        `a ${kind} of ${length} bytes`,
        `${this.#bytes.length - this.#at} left`,
      );
    const from = this.#at;
    this.#at += Number(length);
    return this.#bytes.subarray(from, this.#at);
  }

  #simple(info: number, from: number): CborValue {
    if (info === INDEFINITE) this.#fail('cbor.malformed', 'an item', 'a break outside of any');
    if (info === 20) return false;
    if (info === 21) return true;
    if (info === 22) return null;
    if (info === 23) return undefined;
    if (info < 20) return new CborOpaque(encodeHex(this.#bytes.subarray(from, this.#at)));
    this.#need(2 ** (info - 24));
    this.#at += 2 ** (info - 24);
    // RFC 8949, 3.3: the two-byte form starts at simple value 32.
    if (info === 24 && (this.#bytes[this.#at - 1] as number) < 32)
      this.#fail('cbor.malformed', 'a simple value of 32 or more', 'a smaller one in two bytes');
    return new CborOpaque(encodeHex(this.#bytes.subarray(from, this.#at)));
  }

  #argument(info: number): number | bigint {
    if (info < 24) return info;
    if (info === INDEFINITE)
      this.#fail('cbor.malformed', 'a definite argument', 'an indefinite one');
    this.#need(2 ** (info - 24));
    const at = this.#at;
    this.#at += 2 ** (info - 24);
    if (info === 24) return this.#view.getUint8(at);
    if (info === 25) return this.#view.getUint16(at);
    if (info === 26) return this.#view.getUint32(at);
    const value = this.#view.getBigUint64(at);
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }

  #u8(): number {
    this.#need(1);
    return this.#bytes[this.#at++] as number;
  }

  #need(count: number): void {
    const left = this.#bytes.length - this.#at;
    if (count > left) this.#fail('cbor.truncated', `${count} more bytes`, `${left}`);
  }

  #fail(code: Code & `cbor.${string}`, expected: string, actual: string): never {
    throw this.#error(code, expected, actual);
  }

  #error(code: Code & `cbor.${string}`, expected: string, actual: string): AttestationError {
    return new AttestationError(code, {
      expected: `${this.#what}: ${expected}`,
      actual: `${actual} (offset ${this.#at})`,
    });
  }
}

/** A text that two values share only when they are the same CBOR data item, however encoded. */
function identity(value: CborValue): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Uint8Array) return `h'${encodeHex(value)}'`;
  if (value instanceof CborOpaque) return `simple ${value.hex}`;
  if (value instanceof CborMap)
    return `{${[...value.entries].map(([id, [, inner]]) => `${id}: ${identity(inner)}`).sort()}}`;
  if (Array.isArray(value)) return `[${value.map(identity)}]`;
  return String(value);
}

/** A short text for messages: what kind of value this is, and how it begins. */
export function describeCbor(value: CborValue): string {
  if (value instanceof Uint8Array)
    return `a byte string of ${value.length} bytes (${encodeHex(value.subarray(0, 8))}…)`;
  if (value instanceof CborMap) return `a map of ${value.entries.size}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 32));
  if (value instanceof CborOpaque) return 'a float or simple value';
  return String(value);
}
