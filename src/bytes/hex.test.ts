import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeHex, encodeHex } from './hex.js';

describe('hex', () => {
  it('agrees with Buffer, and comes back in either case', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (value) => {
        const text = encodeHex(value);
        expect(text).toBe(Buffer.from(value).toString('hex'));
        expect(decodeHex(text)).toEqual(value);
        expect(decodeHex(text.toUpperCase())).toEqual(value);
      }),
    );
  });

  it.each([
    ['an odd number of digits', 'abc'],
    ['one digit', 'a'],
    ['a prefix', '0x00'],
    ['a letter after f', '0g'],
    ['a letter before A', '0@'],
    ['the character before 0', '/0'],
    ['the character after 9', ':0'],
    ['the character before a', '`0'],
    ['a space', '00 1'],
    ['a newline at the end', '000\n'],
    ['a sign', '-1'],
    ['full-width digits', '\uff10\uff10'],
    ['digits of code 256 + 48', '\u0130\u0130'],
    ['a surrogate pair', '\u{1f600}'],
    ['a colon', '00:11'],
  ])('refuses %s', (_name, text) => {
    expect(decodeHex(text)).toBeUndefined();
  });

  it('accepts exactly pairs of hex digits', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 8 }), (text) => {
        expect(decodeHex(text) !== undefined).toBe(/^([0-9a-fA-F]{2})*$/.test(text));
      }),
    );
  });
});
