import { concatBytes } from '../../src/bytes/bytes.js';
import { decodeHex } from '../../src/bytes/hex.js';

/** A DER writer and walker that check nothing, so that broken DER can be made on purpose. */
export type RawDer = Uint8Array<ArrayBuffer>;

export const hex = (text: string): RawDer => {
  const bytes = decodeHex(text.replaceAll(' ', ''));
  if (bytes === undefined) throw new TypeError(`not hex: ${text}`);
  return bytes;
};

/** One element; `lengthWidth` forces the long form with that many length bytes. */
export function tlv(tagNumber: number, contents: Uint8Array, lengthWidth?: number): RawDer {
  const size = contents.length;
  const width = lengthWidth ?? (size < 0x80 ? 0 : size < 0x100 ? 1 : size < 0x10000 ? 2 : 3);
  const length = width === 0 ? [size] : [0x80 | width];
  for (let i = width - 1; i >= 0; i--) length.push(Math.floor(size / 256 ** i) & 0xff);
  return concatBytes(Uint8Array.of(tagNumber, ...length), contents);
}

export const sequence = (...items: readonly Uint8Array[]): RawDer =>
  tlv(0x30, concatBytes(...items));

/** INTEGER of these contents as they are. */
export const integerOf = (contents: Uint8Array): RawDer => tlv(0x02, contents);

/** Minimal INTEGER of an unsigned big-endian number. */
export function unsignedInteger(value: Uint8Array): RawDer {
  let from = 0;
  while (from < value.length - 1 && value[from] === 0) from++;
  const digits = value.subarray(from);
  return integerOf((digits[0] as number) >= 0x80 ? concatBytes(Uint8Array.of(0), digits) : digits);
}

export const bitString = (bytes: Uint8Array, unused = 0): RawDer =>
  tlv(0x03, concatBytes(Uint8Array.of(unused), bytes));

export const octetString = (bytes: Uint8Array): RawDer => tlv(0x04, bytes);

/** Where an element's contents start and end. */
export interface Located {
  readonly tag: number;
  readonly start: number;
  readonly contentStart: number;
  readonly end: number;
}

/** Reads one element of well-formed DER at an offset. */
export function locate(der: Uint8Array, at = 0): Located {
  const first = der[at + 1] as number;
  let contentStart = at + 2;
  let size = first;
  if (first >= 0x80) {
    size = 0;
    for (let i = 0; i < (first & 0x7f); i++) size = size * 256 + (der[contentStart++] as number);
  }
  return { tag: der[at] as number, start: at, contentStart, end: contentStart + size };
}

/** The elements inside a constructed element, each whole. */
export function children(der: Uint8Array): RawDer[] {
  const { contentStart, end } = locate(der);
  const found: RawDer[] = [];
  for (let at = contentStart; at < end; at = locate(der, at).end)
    found.push(der.slice(at, locate(der, at).end) as RawDer);
  return found;
}

/** The contents of an element. */
export const contentsOf = (der: Uint8Array): RawDer => {
  const { contentStart, end } = locate(der);
  return der.slice(contentStart, end) as RawDer;
};

/** The same element with another tag. */
export const retag = (der: Uint8Array, tagNumber: number): RawDer =>
  concatBytes(Uint8Array.of(tagNumber), der.subarray(1));
