import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64 } from './base64.js';
import { encodeBase64, encodeBase64Url, encodeTextBase64Url } from './base64-encode.js';

const bytes = fc.uint8Array({ maxLength: 300 });

describe('encodeBase64', () => {
  it('agrees with Buffer', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        const oracle = Buffer.from(value);
        expect(encodeBase64(value)).toBe(oracle.toString('base64'));
        expect(encodeBase64Url(value)).toBe(oracle.toString('base64url'));
      }),
    );
  });

  it.each([8191, 8192, 8193, 1_000_001])('takes %i bytes', (length) => {
    const value = new Uint8Array(length).map((_, i) => (i * 31) ^ (i >> 8));
    expect(encodeBase64(value)).toBe(Buffer.from(value).toString('base64'));
  });

  it('reads views from their offset', () => {
    const view = new Uint8Array([9, 1, 2, 3, 9]).subarray(1, 4);
    expect(encodeBase64(view)).toBe('AQID');
  });
});

describe('encodeTextBase64Url', () => {
  it('agrees with Buffer, whatever the characters', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 300 }), // ASCII
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: fc.constantFrom('>', '?', '~', 'a', '\u007f', '\u00e9', '\u00ff') }),
    );
    fc.assert(
      fc.property(text, (value) => {
        expect(encodeTextBase64Url(value)).toBe(Buffer.from(value).toString('base64url'));
      }),
    );
  });

  it('gives no padding, and digits of URLs', () => {
    expect(['', '>>>', '???', 'a', 'ab', 'é', '\ud800'].map(encodeTextBase64Url)).toEqual([
      ...['', 'Pj4-', 'Pz8_', 'YQ', 'YWI', 'w6k', '77-9'],
    ]);
  });
});

describe('decodeBase64', () => {
  it('gives back what was encoded, in all four spellings', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        const standard = encodeBase64(value);
        const url = encodeBase64Url(value);
        const padding = standard.slice(standard.replace(/=+$/, '').length);
        for (const text of [standard, standard.replace(/=+$/, ''), url, url + padding])
          expect(decodeBase64(text)).toEqual(value);
      }),
    );
  });

  it.each([
    ['', ''],
    ['AA==', '00'],
    ['AA', '00'],
    ['AAA=', '0000'],
    ['AAA', '0000'],
    ['+/+/', 'fbffbf'],
    ['-_-_', 'fbffbf'],
  ])('reads %j', (text, hex) => {
    expect(Buffer.from(decodeBase64(text) as Uint8Array).toString('hex')).toBe(hex);
  });

  it.each([
    ['one digit', 'A'],
    ['one digit after a group', 'AAAAA'],
    ['padding alone', '='],
    ['two paddings alone', '=='],
    ['a group of padding', '===='],
    ['too little padding', 'AA='],
    ['too much padding', 'AAA=='],
    ['three paddings', 'A==='],
    ['padding after a whole group', 'AAAA='],
    ['a padding group after a whole group', 'AAAA===='],
    ['padding in the middle', 'AA==AA=='],
    ['a digit after padding', 'AA=A'],
    ['one bit left over, two digits', 'AB=='],
    ['highest bit left over, two digits', 'AI'],
    ['one bit left over, three digits', 'AAB='],
    ['highest bit left over, three digits', 'AAC'],
    ['both alphabets', '+-AA'],
    ['both alphabets, far apart', '/AAAAAA_'],
    ['a space', 'AA AA'],
    ['a newline at the end', 'AAAA\n'],
    ['a carriage return', 'AA\r\nAA'],
    ['a NUL', 'AAA\0'],
    ['a full-width digit', 'AAA\uff21'],
    ['a digit of code 256 + 65', 'AAA\u0141'],
    ['a surrogate', 'AAA\ud800'],
    ['an umlaut', 'AAAä'],
    ['a dot', 'AA.A'],
    ['a data URL', 'data:;base64,AAAA'],
  ])('refuses %s', (_name, text) => {
    expect(decodeBase64(text)).toBeUndefined();
  });

  it('accepts no other spelling of any text it accepts', () => {
    const digit = fc.constantFrom(...'ABIgw+/-_=\n', '0', 'z');
    fc.assert(
      fc.property(fc.string({ unit: digit, maxLength: 12 }), (text) => {
        const value = decodeBase64(text);
        if (value === undefined) return;
        const body = text.replace(/=+$/, '');
        expect([encodeBase64(value), encodeBase64Url(value)].map((t) => t.replace(/=+$/, ''))) //
          .toContain(body);
        if (body !== text) expect(text.length % 4).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });
});
