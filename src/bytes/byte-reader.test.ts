import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectCode, valueOrCode } from '../test-support/rejection.js';
import { ByteReader } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';

const CODES = { truncated: 'quote.malformed', trailing: 'quote.signature-malformed' } as const;
const readerOf = (bytes: ArrayLike<number>, endian: 'big' | 'little' = 'big'): ByteReader =>
  new ByteReader(Uint8Array.from(bytes), 'THING', CODES, endian);

type Field =
  | { readonly kind: 'u8' | 'u16' | 'u32'; readonly value: number }
  | { readonly kind: 'u64'; readonly value: bigint }
  | { readonly kind: 'bytes' | 'sized16'; readonly value: Uint8Array };

const field: fc.Arbitrary<Field> = fc.oneof(
  fc.record({ kind: fc.constant('u8' as const), value: fc.nat(0xff) }),
  fc.record({ kind: fc.constant('u16' as const), value: fc.nat(0xffff) }),
  fc.record({ kind: fc.constant('u32' as const), value: fc.nat(0xffffffff) }),
  fc.record({ kind: fc.constant('u64' as const), value: fc.bigInt(0n, 2n ** 64n - 1n) }),
  fc.record({
    kind: fc.constantFrom('bytes' as const, 'sized16' as const),
    value: fc.uint8Array({ maxLength: 400 }),
  }),
);

const write = (fields: readonly Field[], endian: 'big' | 'little'): Uint8Array => {
  const writer = new ByteWriter(endian);
  for (const { kind, value } of fields) (writer[kind] as (v: unknown) => ByteWriter)(value);
  expect(writer.length).toBe(writer.finish().length);
  return writer.finish();
};

const read = (reader: ByteReader, { kind, value }: Field): unknown =>
  kind === 'bytes' ? reader.take(value.length, kind) : reader[kind](kind);

describe('ByteReader', () => {
  const layout = fc.tuple(
    fc.array(field, { maxLength: 12 }),
    fc.constantFrom('big' as const, 'little' as const),
  );

  it('reads what ByteWriter wrote, to the last byte', () => {
    fc.assert(
      fc.property(layout, ([fields, endian]) => {
        const reader = readerOf(write(fields, endian), endian);
        for (const one of fields) expect(read(reader, one)).toEqual(one.value);
        expect(reader.left).toBe(0);
        reader.end();
      }),
    );
  });

  it('refuses every truncation with the code of the caller', () => {
    fc.assert(
      fc.property(layout, ([fields, endian]) => {
        const whole = write(fields, endian);
        for (let cut = 0; cut < Math.min(whole.length, 40); cut++) {
          const reader = readerOf(whole.subarray(0, cut), endian);
          const all = valueOrCode(() => fields.map((one) => read(reader, one)));
          expect(all).toBe('quote.malformed');
        }
      }),
      { numRuns: 40 },
    );
  });

  it('agrees with Buffer in both byte orders', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), (value) => {
        const oracle = Buffer.from(value);
        expect(readerOf(value).u64('x')).toBe(oracle.readBigUInt64BE());
        expect(readerOf(value, 'little').u64('x')).toBe(oracle.readBigUInt64LE());
        expect(readerOf(value).u32('x')).toBe(oracle.readUInt32BE());
        expect(readerOf(value, 'little').u32('x')).toBe(oracle.readUInt32LE());
        expect(readerOf(value).u16('x')).toBe(oracle.readUInt16BE());
        expect(readerOf(value, 'little').u16('x')).toBe(oracle.readUInt16LE());
      }),
    );
  });

  it('stays inside its view', () => {
    const view = new Uint8Array([1, 2, 3, 4, 5, 6]).subarray(2, 4);
    const reader = new ByteReader(view, 'THING', CODES);
    expect(reader.u16('a')).toBe(0x0304);
    expectCode(() => reader.u8('b'), 'quote.malformed');
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 5])(
    'refuses to take %s of 4 bytes, and moves nowhere',
    (length) => {
      const reader = readerOf([1, 2, 3, 4]);
      expectCode(() => reader.take(length, 'x'), 'quote.malformed');
      expect(reader.offset).toBe(0);
      expect(reader.left).toBe(4);
    },
  );

  it('caps sized fields before it takes them', () => {
    expectCode(() => readerOf([0, 3, 1, 2, 3]).sized16('x', 2), 'quote.malformed');
    expect([...readerOf([0, 2, 1, 2]).sized16('x', 2)]).toEqual([1, 2]);
    expectCode(() => readerOf([0xff, 0xff, 1]).sized16('x'), 'quote.malformed');
    expectCode(() => readerOf([0]).sized16('x'), 'quote.malformed');
  });

  it('says what follows the end, and which field was short', () => {
    const trailing = expectCode(() => readerOf([1]).end(), 'quote.signature-malformed');
    expect(trailing.actual).toContain('1 more bytes');
    const short = expectCode(() => readerOf([1]).u16('magic'), 'quote.malformed');
    expect(short.expected).toContain('THING magic');
    expect(short.actual).toContain('offset 0');
  });
});

describe('ByteWriter', () => {
  it('grows, and what it gave out does not change', () => {
    const writer = new ByteWriter().bytes(new Uint8Array(300).fill(1));
    const first = writer.finish();
    writer.bytes(new Uint8Array(5000).fill(2));
    expect(first).toEqual(new Uint8Array(300).fill(1));
    expect(writer.finish().length).toBe(5300);
    expect(writer.finish()[5299]).toBe(2);
  });

  it('refuses a TPM2B that is too long', () => {
    expect(() => new ByteWriter().sized16(new Uint8Array(65_536))).toThrow(RangeError);
    expect(new ByteWriter().sized16(new Uint8Array(65_535)).length).toBe(65_537);
  });
});
