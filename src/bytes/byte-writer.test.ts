import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from './byte-writer.js';

describe('ByteWriter', () => {
  it.each([1, 2, 4, 8])('writes a number of %i bytes across the end of its buffer', (size) => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1100 }), fc.boolean(), (before, little) => {
        const writer = new ByteWriter(little ? 'little' : 'big').bytes(new Uint8Array(before));
        const value = 0x1122334455667788n & ((1n << BigInt(size * 8)) - 1n);
        if (size === 1) writer.u8(Number(value));
        else if (size === 2) writer.u16(Number(value));
        else if (size === 4) writer.u32(Number(value));
        else writer.u64(value);
        const written = writer.finish().subarray(before);
        const digits = [...written].map((byte) => byte.toString(16).padStart(2, '0'));
        if (little) digits.reverse();
        expect(digits.join('')).toBe(value.toString(16).padStart(size * 2, '0'));
      }),
    );
  });

  it('writes a TPM2B across the end of its buffer', () => {
    const writer = new ByteWriter().bytes(new Uint8Array(255)).sized16(new Uint8Array([1, 2, 3]));
    expect([...writer.finish().subarray(255)]).toEqual([0, 3, 1, 2, 3]);
  });
});
