import { concatBytes } from '../../src/bytes/bytes.js';

/**
 * A CBOR writer that also writes what it should not: any head, any order, nothing checked.
 * Every function returns the bytes of one item (RFC 8949, 3).
 */
export type RawCbor = Uint8Array<ArrayBuffer>;

/** Head in its shortest form, or with the argument in `width` bytes (0, 1, 2, 4 or 8). */
export function head(majorType: number, argument: number | bigint, width?: number): RawCbor {
  const value = BigInt(argument);
  const bytes =
    width ??
    (value < 24n ? 0 : value < 1n << 8n ? 1 : value < 1n << 16n ? 2 : value < 1n << 32n ? 4 : 8);
  const type = majorType << 5;
  if (bytes === 0) return Uint8Array.of(type | Number(value));
  const out = new Uint8Array(1 + bytes);
  out[0] = type | (24 + Math.log2(bytes));
  for (let i = 0; i < bytes; i++) out[bytes - i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return out;
}

/** Text bytes as they go over the wire. */
export const utf8 = (text: string): RawCbor => new TextEncoder().encode(text) as RawCbor;

/** Unsigned or negative integer. */
export const int = (value: number | bigint, width?: number): RawCbor =>
  value < 0 ? head(1, -1n - BigInt(value), width) : head(0, value, width);

export const bstr = (value: Uint8Array, width?: number): RawCbor =>
  concatBytes(head(2, value.length, width), value);

/** Text string of a text, or of bytes that need not be UTF-8. */
export function tstr(value: string | Uint8Array, width?: number): RawCbor {
  const bytes = typeof value === 'string' ? utf8(value) : value;
  return concatBytes(head(3, bytes.length, width), bytes);
}

export const array = (...items: readonly Uint8Array[]): RawCbor =>
  concatBytes(head(4, items.length), ...items);

export type RawEntry = readonly [key: Uint8Array, value: Uint8Array];

export const map = (...entries: readonly RawEntry[]): RawCbor =>
  concatBytes(head(5, entries.length), ...entries.flat());

export const BREAK: RawCbor = Uint8Array.of(0xff);
export const NULL: RawCbor = Uint8Array.of(0xf6);

/** Indefinite-length item of a major type: the parts, then a break. */
export const indefinite = (majorType: number, ...parts: readonly Uint8Array[]): RawCbor =>
  concatBytes(Uint8Array.of((majorType << 5) | 31), ...parts, BREAK);

export const tag = (number: number, item: Uint8Array): RawCbor =>
  concatBytes(head(6, number), item);
