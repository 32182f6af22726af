import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../bytes/bytes.js';
import { AttestationError } from '../result/attestation-error.js';
import { guidBytes } from './guid.js';
import { MAX_SIGNATURE_LIST_BYTES, parseSignatureList } from './signature-list.js';
import { makeSignatureList } from './test-support/make-pe.js';

const X509 = guidBytes('a5c059a1-94e4-4aa7-87b5-ab155c2bf072');
const SHA256 = guidBytes('c1c41626-504c-4092-aca9-41f936934328');
const OWNER_TEXT = '01234567-89ab-cdef-0123-456789abcdef';
const OWNER = guidBytes(OWNER_TEXT);
const hashes = makeSignatureList(SHA256, OWNER, [
  new Uint8Array(32).fill(1),
  new Uint8Array(32).fill(2),
]);

function patched(bytes: Uint8Array, offset: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(offset, value, true);
  return copy;
}

const MALFORMED: readonly (readonly [string, Uint8Array, string])[] = [
  ['a huge list', new Uint8Array(MAX_SIGNATURE_LIST_BYTES + 1), 'esl.too-large'],
  ['half a header', hashes.subarray(0, 20), 'esl.truncated'],
  ['half an entry', hashes.subarray(0, hashes.length - 1), 'esl.truncated'],
  ['attributes of efivarfs in front', concatBytes(Uint8Array.of(0x27, 0, 0, 0), hashes), 'esl.'],
  ['an entry size of 0', patched(hashes, 24, 0), 'esl.malformed'],
  ['an entry size of 16', patched(hashes, 24, 16), 'esl.malformed'],
  ['an entry size that is not that of the hash', patched(hashes, 24, 32), 'esl.malformed'],
  ['a list header', patched(hashes, 20, 4), 'esl.malformed'],
  ['a list size below its header', patched(hashes, 16, 27), 'esl.malformed'],
  ['a list size of no whole entries', patched(hashes, 16, 28 + 95), 'esl.malformed'],
  ['a list size beyond the end', patched(hashes, 16, 28 + 48 * 1000), 'esl.truncated'],
  [
    'too many entries',
    makeSignatureList(guidBytes(OWNER_TEXT), OWNER, new Array(16_385).fill(Uint8Array.of(1))),
    'esl.limit-exceeded',
  ],
];

describe('parseSignatureList', () => {
  it('reads several lists', () => {
    const certificate = Uint8Array.of(0x30, 0);
    const entries = parseSignatureList(
      concatBytes(hashes, makeSignatureList(X509, OWNER, [certificate])),
    );
    expect(entries.map(({ type, owner }) => [type, owner])).toEqual([
      ['sha256', OWNER_TEXT],
      ['sha256', OWNER_TEXT],
      ['x509', OWNER_TEXT],
    ]);
    expect(entries[2]?.data).toEqual(certificate);
    expect(entries[2]?.encoded).toEqual(concatBytes(OWNER, certificate));
  });

  it('reads nothing as an empty list', () => {
    expect(parseSignatureList(new Uint8Array())).toEqual([]);
  });

  it.each(MALFORMED)('%s', (_, bytes, code) => {
    expect(() => parseSignatureList(bytes)).toThrow(
      expect.objectContaining({ code: expect.stringContaining(code) }),
    );
  });

  it('fails at every truncation that does not end a list', () => {
    for (let length = 1; length < hashes.length; length++)
      expect(() => parseSignatureList(hashes.subarray(0, length))).toThrow(AttestationError);
  });

  it('throws nothing but our error, in bounded time', () => {
    const attempt = (bytes: Uint8Array): void => {
      try {
        parseSignatureList(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(AttestationError);
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), attempt), { numRuns: 3000 });
    fc.assert(
      fc.property(fc.nat(hashes.length - 1), fc.nat(255), (at, value) => {
        const bytes = hashes.slice();
        bytes[at] = value;
        attempt(bytes);
      }),
      { numRuns: 3000 },
    );
  });
});
