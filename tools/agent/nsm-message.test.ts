import { decode } from 'cbor-x/decode-no-eval';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeNsmResponse, encodeNsmRequest } from './nsm-message.js';

const hex = (text: string): Uint8Array =>
  new Uint8Array(Buffer.from(text.replace(/ /g, ''), 'hex'));

describe('NSM requests', () => {
  it('are what another CBOR reader reads', () => {
    const field = fc.option(fc.uint8Array({ maxLength: 1024 }), { nil: undefined });
    fc.assert(
      fc.property(field, field, field, (userData, nonce, publicKey) => {
        const plain = (value: Uint8Array | undefined): number[] | null =>
          value === undefined ? null : [...value];
        const read = decode(encodeNsmRequest({ userData, nonce, publicKey })) as {
          Attestation: Record<string, Uint8Array | null>;
        };
        expect(Object.keys(read.Attestation)).toEqual(['user_data', 'nonce', 'public_key']);
        expect(
          Object.values(read.Attestation).map((value) => (value === null ? null : [...value])),
        ).toEqual([plain(userData), plain(nonce), plain(publicKey)]);
      }),
    );
  });
});

describe('NSM responses', () => {
  const document = 'a16b4174746573746174696f6e a168646f63756d656e74 43010203';
  it.each([
    ['definite maps', document],
    ['indefinite maps', 'bf6b4174746573746174696f6e bf68646f63756d656e74 43010203 ff ff'],
    ['a length in one byte', document.replace('43', '5803')],
    ['a length in two bytes', document.replace('43', '590003')],
    ['zeros behind it', `${document}0000000000`],
    ['ones behind it', `${document}ffffffff`],
  ])('with %s give the document', (_, text) => {
    expect(decodeNsmResponse(hex(text))).toEqual({ document: new Uint8Array([1, 2, 3]) });
  });
  it('give the error', () => {
    expect(decodeNsmResponse(hex('a1654572726f72 6f496e76616c6964417267756d656e74 00'))).toEqual({
      error: 'InvalidArgument',
    });
  });
  it('go on when they are cut anywhere', () => {
    const whole = hex(document);
    for (let length = 0; length < whole.length; length++)
      expect(decodeNsmResponse(whole.subarray(0, length))).toBeUndefined();
  });
  it.each([
    ['an array', '80'],
    ['two entries', 'a2'],
    ['another key', 'a1654f74686572 00'],
    ['a number for a key', 'a101'],
    ['an attestation without a document', 'a16b4174746573746174696f6e a163666f6f 4101'],
    ['a text for a document', 'a16b4174746573746174696f6e a168646f63756d656e74 6101'],
    [
      'a document of four-byte length',
      'a16b4174746573746174696f6e a168646f63756d656e74 5a00000001 01',
    ],
    ['an indefinite document', 'a16b4174746573746174696f6e a168646f63756d656e74 5f'],
    ['an indefinite map that goes on', 'bf6b4174746573746174696f6e a168646f63756d656e74 4101 00'],
    ['an error that is no text', 'a1654572726f72 01'],
    ['an error with control characters', 'a1654572726f72 611b'],
    ['erased memory', 'ffffffffffff'],
  ])('that are %s are refused', (_, text) => {
    expect(() => decodeNsmResponse(hex(text))).toThrow(
      expect.objectContaining({ code: 'attest.nsm-response-malformed' }),
    );
  });
  it('never throw anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(20), (tail, keep) => {
        const raw = new Uint8Array([...hex(document).subarray(0, keep), ...tail]);
        try {
          decodeNsmResponse(raw);
        } catch (error) {
          expect(error).toMatchObject({ code: 'attest.nsm-response-malformed' });
        }
      }),
    );
  });
});
