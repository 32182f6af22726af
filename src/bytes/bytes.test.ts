import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  asciiBytes,
  compareBytes,
  concatBytes,
  copyBytes,
  equalBytes,
  isFilledWith,
} from './bytes.js';

const some = fc.uint8Array({ maxLength: 40 });
const near = fc.tuple(some, fc.nat(39), fc.nat(255)).map(([value, at, byte]) => {
  const other = value.slice();
  if (at < other.length) other[at] = byte;
  return [value, other] as const;
});

describe('equalBytes and compareBytes', () => {
  it('agree with Buffer', () => {
    fc.assert(
      fc.property(fc.oneof(near, fc.tuple(some, some)), ([a, b]) => {
        expect(equalBytes(a, b)).toBe(Buffer.from(a).equals(Buffer.from(b)));
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b));
      }),
    );
  });

  it('tell a prefix from the whole', () => {
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0))).toBe(false);
    expect(equalBytes(Uint8Array.of(1, 2, 0), Uint8Array.of(1, 2))).toBe(false);
    expect(compareBytes(Uint8Array.of(1), Uint8Array.of(1, 0))).toBeLessThan(0);
  });
});

describe('copyBytes', () => {
  it('is private and covers the view only', () => {
    const buffer = new Uint8Array([9, 1, 2, 9]);
    const copy = copyBytes(buffer.subarray(1, 3));
    buffer.fill(7);
    expect([...copy]).toEqual([1, 2]);
    expect(copy.buffer.byteLength).toBe(2);
  });

  it('moves shared memory into memory of its own', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(2));
    shared[0] = 5;
    const copy = copyBytes(shared);
    shared[0] = 6;
    expect(copy.buffer).toBeInstanceOf(ArrayBuffer);
    expect(copy[0]).toBe(5);
  });
});

describe('concatBytes', () => {
  it('agrees with Buffer', () => {
    fc.assert(
      fc.property(fc.array(some, { maxLength: 6 }), (parts) => {
        expect(concatBytes(...parts)).toEqual(new Uint8Array(Buffer.concat(parts)));
      }),
    );
  });
});

describe('isFilledWith', () => {
  it.each([
    [[], 0, true],
    [[0, 0], 0, true],
    [[0, 1], 0, false],
    [[1, 0], 0, false],
    [[255, 255], 255, true],
    [[255, 0], 255, false],
  ])('%j with %i: %s', (bytes, value, expected) => {
    expect(isFilledWith(Uint8Array.from(bytes), value)).toBe(expected);
  });
});

it('asciiBytes writes one byte a character', () => {
  expect(Buffer.from(asciiBytes('Signature1')).toString('latin1')).toBe('Signature1');
});
