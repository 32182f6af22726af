import fc from 'fast-check';
import { createNodeProvider } from 'tee-verify/node';
import { describe, expect, it } from 'vitest';
import { cbor, defaultEnvelope, mintDocument, mintPki } from '../test-vectors/mint/index.js';
import { concatBytes } from './bytes/bytes.js';
import {
  judgeEnvelopeSignature,
  parseEnvelope,
  signedBytes,
  startEnvelopeSignature,
  type UnverifiedEnvelope,
} from './cose.js';
import { createEngine } from './crypto/engine.js';
import { runFlowSync } from './crypto/flow.js';
import type { SyncCrypto } from './crypto/provider.js';
import type { Code } from './result/codes.js';
import { expectCode, notes, prefixes, valueOrCode } from './test-support/rejection.js';
import { parseCertificate } from './x509/certificate.js';

const { array, bstr, head, indefinite, int, map, NULL, tag, tstr } = cbor;
const HEADER = Uint8Array.of(0xa1, 0x01, 0x38, 0x22);
const PAYLOAD = map([tstr('a'), int(1)]);
const SIGNATURE = new Uint8Array(96).fill(7);
const EMPTY = head(5, 0);
const parse = (bytes: Uint8Array): UnverifiedEnvelope => parseEnvelope(bytes, () => undefined);
const envelope = (
  protectedHeader: Uint8Array = bstr(HEADER),
  unprotected: Uint8Array = EMPTY,
  payload: Uint8Array = bstr(PAYLOAD),
  signature: Uint8Array = bstr(SIGNATURE),
): Uint8Array => array(protectedHeader, unprotected, payload, signature);
const withHeader = (...entries: [Uint8Array, Uint8Array][]): Uint8Array =>
  envelope(bstr(map(...entries)));
const ALG = [int(1), int(-35)] as [Uint8Array, Uint8Array];

describe('parseEnvelope', () => {
  it.each<readonly [string, Code, Uint8Array]>([
    ['nothing', 'cbor.truncated', new Uint8Array(0)],
    ['a map', 'cose.malformed', EMPTY],
    ['an empty array', 'cose.malformed', array()],
    ['three items', 'cose.malformed', array(bstr(HEADER), EMPTY, bstr(PAYLOAD))],
    [
      'five items',
      'cose.malformed',
      array(...[bstr(HEADER), EMPTY, bstr(PAYLOAD)], bstr(SIGNATURE), NULL),
    ],
    [
      'five items, the fifth undefined',
      'cose.malformed',
      array(bstr(HEADER), EMPTY, bstr(PAYLOAD), bstr(SIGNATURE), Uint8Array.of(0xf7)),
    ],
    ['protected header as map', 'cose.malformed', envelope(map(ALG))],
    ['protected header as text', 'cose.malformed', envelope(tstr('a'))],
    ['protected header null', 'cose.malformed', envelope(NULL)],
    ['protected header with an array in it', 'cose.malformed', envelope(bstr(array()))],
    ['protected header empty', 'cose.algorithm-unsupported', envelope(bstr(new Uint8Array(0)))],
    [
      'protected header of two items',
      'cbor.trailing-bytes',
      envelope(bstr(concatBytes(HEADER, NULL))),
    ],
    ['protected header with alg twice', 'cbor.duplicate-key', envelope(bstr(map(ALG, ALG)))],
    [
      'protected header with alg twice, second wide',
      'cbor.duplicate-key',
      withHeader(ALG, [int(1, 2), int(-35)]),
    ],
    ['unprotected header null', 'cose.malformed', envelope(bstr(HEADER), NULL)],
    ['unprotected header as array', 'cose.malformed', envelope(bstr(HEADER), array())],
    ['unprotected header as bytes', 'cose.malformed', envelope(bstr(HEADER), bstr(EMPTY))],
    [
      'unprotected header with a key twice',
      'cbor.duplicate-key',
      envelope(bstr(HEADER), map(ALG, ALG)),
    ],
    ['payload null: detached', 'cose.malformed', envelope(undefined, undefined, NULL)],
    ['payload as text', 'cose.malformed', envelope(undefined, undefined, tstr('a'))],
    ['payload as map', 'cose.malformed', envelope(undefined, undefined, PAYLOAD)],
    ['payload empty', 'cose.payload-size', envelope(undefined, undefined, bstr(new Uint8Array(0)))],
    [
      'payload of 16385 bytes',
      'cose.payload-size',
      envelope(undefined, undefined, bstr(new Uint8Array(16_385))),
    ],
    [
      'payload of two items',
      'cbor.trailing-bytes',
      envelope(undefined, undefined, bstr(concatBytes(PAYLOAD, NULL))),
    ],
    [
      'payload cut off',
      'cbor.truncated',
      envelope(undefined, undefined, bstr(PAYLOAD.subarray(1, 2))),
    ],
    ['signature null', 'cose.malformed', envelope(undefined, undefined, undefined, NULL)],
    ['signature as array', 'cose.malformed', envelope(undefined, undefined, undefined, array())],
    [
      'signature of 95 bytes',
      'cose.signature-size',
      envelope(undefined, undefined, undefined, bstr(SIGNATURE.subarray(1))),
    ],
    [
      'signature of 97 bytes',
      'cose.signature-size',
      envelope(undefined, undefined, undefined, bstr(new Uint8Array(97))),
    ],
    [
      'signature of 64 bytes',
      'cose.signature-size',
      envelope(undefined, undefined, undefined, bstr(new Uint8Array(64))),
    ],
    [
      'signature empty',
      'cose.signature-size',
      envelope(undefined, undefined, undefined, bstr(new Uint8Array(0))),
    ],
    ['no algorithm', 'cose.algorithm-unsupported', withHeader()],
    ['ES256', 'cose.algorithm-unsupported', withHeader([int(1), int(-7)])],
    ['ES512', 'cose.algorithm-unsupported', withHeader([int(1), int(-36)])],
    ['algorithm 35', 'cose.algorithm-unsupported', withHeader([int(1), int(35)])],
    ['algorithm as text', 'cose.algorithm-unsupported', withHeader([int(1), tstr('ES384')])],
    ['algorithm as text -35', 'cose.algorithm-unsupported', withHeader([int(1), tstr('-35')])],
    ['algorithm null', 'cose.algorithm-unsupported', withHeader([int(1), NULL])],
    [
      'algorithm undefined',
      'cose.algorithm-unsupported',
      withHeader([int(1), Uint8Array.of(0xf7)]),
    ],
    [
      'algorithm as a float of -35',
      'cose.algorithm-unsupported',
      withHeader([int(1), Uint8Array.of(0xf9, 0xd0, 0x60)]),
    ],
    ['algorithm in a list', 'cose.algorithm-unsupported', withHeader([int(1), array(int(-35))])],
    [
      'algorithm under the text "1"',
      'cose.algorithm-unsupported',
      withHeader([tstr('1'), int(-35)]),
    ],
    [
      'algorithm in the unprotected header only',
      'cose.algorithm-unsupported',
      envelope(bstr(EMPTY), map(ALG)),
    ],
    ['critical headers', 'cose.malformed', withHeader(ALG, [int(2), array(int(99))])],
    ['critical headers, empty', 'cose.malformed', withHeader(ALG, [int(2), array()])],
    ['critical headers, null', 'cose.malformed', withHeader(ALG, [int(2), NULL])],
    ['bytes behind', 'cbor.trailing-bytes', concatBytes(envelope(), NULL)],
    ['tag 18 twice', 'cbor.not-allowed', tag(18, tag(18, envelope()))],
    ['tag 17', 'cbor.not-allowed', tag(17, envelope())],
    ['tag 18 in two bytes', 'cbor.not-allowed', concatBytes(Uint8Array.of(0xd8, 18), envelope())],
    [
      'tag 18 around the payload',
      'cbor.not-allowed',
      envelope(undefined, undefined, tag(18, bstr(PAYLOAD))),
    ],
    ['tag 18 and nothing', 'cbor.truncated', Uint8Array.of(0xd2)],
  ])('%s', (_name, code, bytes) => {
    expectCode(() => parse(bytes), code);
  });

  it.each<readonly [string, Uint8Array]>([
    ['plain', envelope()],
    ['tagged', tag(18, envelope())],
    ['indefinite array', indefinite(4, bstr(HEADER), EMPTY, bstr(PAYLOAD), bstr(SIGNATURE))],
    ['indefinite headers', envelope(bstr(indefinite(5, ...ALG)), indefinite(5))],
    [
      'unprotected header of any kind',
      envelope(
        undefined,
        map(
          [tstr('kid'), array(NULL)],
          [bstr(HEADER), int(1)],
          [int(1), int(-7)],
          [int(2), array(int(1))],
        ),
      ),
    ],
    ['more protected headers', withHeader(ALG, [int(4), bstr(HEADER)], [tstr('x'), NULL])],
    [
      'wide encodings',
      envelope(bstr(map([int(1, 8), int(-35, 4)]), 4), EMPTY, bstr(PAYLOAD, 8), bstr(SIGNATURE, 2)),
    ],
    ['payload of 16384 bytes', envelope(undefined, undefined, bstr(bstr(new Uint8Array(16_381))))],
  ])('accepts: %s', (name, bytes) => {
    const heard = notes();
    const got = parseEnvelope(bytes, heard.note);
    expect(got.tagged).toBe(name === 'tagged');
    expect(got.signature).toEqual(SIGNATURE);
    expect(heard.heard.join()).toContain('ES384');
  });

  it('refuses every truncation, and throws nothing but our error', () => {
    for (const cut of prefixes(envelope())) expectCode(() => parse(cut), 'cbor.truncated');
    const good = envelope();
    fc.assert(
      fc.property(
        fc.nat(good.length - 1),
        fc.nat(255),
        fc.uint8Array({ maxLength: 20 }),
        (at, byte, more) => {
          const bytes = good.slice();
          bytes[at] = byte;
          valueOrCode(() => parse(bytes));
          valueOrCode(() => parse(concatBytes(bytes.subarray(0, at), more, bytes.subarray(at))));
        },
      ),
      { numRuns: 1500 },
    );
  });
});

describe('signedBytes', () => {
  it('is the Sig_structure of RFC 9052, 4.4, in the shortest form, whatever the envelope\u2019s', () => {
    const sizes = fc.oneof(
      fc.constantFrom(1, 23, 24, 255, 256, 300, 16_384),
      fc.integer({ min: 1, max: 700 }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), sizes, (protectedBytes, size) => {
        const payload = new Uint8Array(size).fill(3);
        const given = { protectedBytes, payload, content: 0, signature: SIGNATURE, tagged: false };
        expect(signedBytes(given)).toEqual(
          array(tstr('Signature1'), bstr(protectedBytes), bstr(new Uint8Array(0)), bstr(payload)),
        );
      }),
    );
  });
});

describe('the envelope\u2019s signature', async () => {
  const pki = await mintPki({ now: new Date('2026-03-01T12:00:00Z') });
  const path = await pki.issuePath('i-0123456789abcdef0-tpm0000000000000000', pki.nowMs);
  const engine = createEngine('node', createNodeProvider().sync as SyncCrypto);
  const key = parseCertificate(path.leaf.der, 'leaf').publicKey;
  const verify = (bytes: Uint8Array, by = key): string =>
    valueOrCode(() => {
      const parsed = parse(bytes);
      const started = startEnvelopeSignature(parsed, by, engine);
      runFlowSync(judgeEnvelopeSignature(started, () => undefined));
      return 'valid';
    });

  it('verifies, also with another envelope around the signed bytes', async () => {
    expect(verify(await mintDocument(pki, { path }))).toBe('valid');
    const other = await mintDocument(pki, {
      path,
      tag: 18,
      envelope: (items) =>
        indefinite(4, items.protectedHeader, map([int(99), NULL]), items.payload, items.signature),
    });
    expect(verify(other)).toBe('valid');
  });

  it.each([
    [
      'payload',
      {
        envelope: (i: Parameters<typeof defaultEnvelope>[0]) =>
          defaultEnvelope({ ...i, payload: bstr(map([tstr('a'), int(2)])) }),
      },
    ],
    [
      'protected header re-encoded',
      {
        envelope: (i: Parameters<typeof defaultEnvelope>[0]) =>
          defaultEnvelope({ ...i, protectedHeader: bstr(map([int(1, 1), int(-35)])) }),
      },
    ],
    [
      'protected header with a header more',
      {
        envelope: (i: Parameters<typeof defaultEnvelope>[0]) =>
          defaultEnvelope({ ...i, protectedHeader: bstr(map(ALG, [int(4), NULL])) }),
      },
    ],
    ['context of counter signatures', { context: 'CounterSignature' }],
    ['external data', { externalAad: Uint8Array.of(1) }],
    [
      'r and s swapped',
      { signature: (s: Uint8Array) => concatBytes(s.subarray(48), s.subarray(0, 48)) },
    ],
    ['zero signature', { signature: () => new Uint8Array(96) }],
    ['signature of ones', { signature: () => new Uint8Array(96).fill(0xff) }],
  ])('does not verify: %s', async (_name, overrides) => {
    expect(verify(await mintDocument(pki, { path, ...overrides }))).toBe('cose.signature-invalid');
  });

  it('does not verify under another key', async () => {
    const issuer = parseCertificate(path.authorities[3]?.der as Uint8Array, 'issuer').publicKey;
    expect(verify(await mintDocument(pki, { path }), issuer)).toBe('cose.signature-invalid');
  });
});
