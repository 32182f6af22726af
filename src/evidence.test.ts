import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeBase64, encodeBase64Url } from './bytes/base64-encode.js';
import { encodeHex } from './bytes/hex.js';
import { type EvidenceInput, parseEvidence, type UnverifiedEvidence } from './evidence.js';
import type { VerifiedDocument } from './nitro/document.js';
import type { Code } from './result/codes.js';
import { compareSenderClaims } from './sender-claims.js';
import { expectCode, notes, prefixes, valueOrCode } from './test-support/rejection.js';

const parse = (input: unknown): UnverifiedEvidence =>
  parseEvidence(input as EvidenceInput, () => undefined);
const DOCUMENT = new Uint8Array(200).map((_, i) => (i === 0 ? 0x84 : i));
const HEX = encodeHex(DOCUMENT);
const X = '11'.repeat(32);
const Y = '22'.repeat(32);
const PCR = 'ab'.repeat(48);

// biome-ignore lint/suspicious/noExplicitAny: rows edit it in every possible way
type Json = any;
const seed = (): Json => ({
  pcrs: { sha384: { '0': PCR, '31': PCR } },
  signing_key_public_keys: { ecc_p256: { x: X, y: Y } },
  attestation: {
    tpm: { ecc_p256: { nonce: 'aa', attest_data: 'ff54', signature: '3006' } },
    nitro: { public_key: `04${X}${Y}`, nonce: 'aa', document: HEX },
  },
});
const later = (): Json => ({
  version: 1,
  nonce: 'aa',
  pcrs: { sha384: { '0': PCR } },
  ak_pubkeys: { ecc_p256: { x: X, y: Y, tpmt_public: '0023' } },
  attestation: {
    tpm: { ecc_p256: { attest_data: 'ff54', signature: '3006' } },
    nitro: { document: HEX },
  },
  event_log: 'AAAA',
});
const edited = (edit: (bundle: Json) => void, form = seed): Json => {
  const bundle = form();
  edit(bundle);
  return bundle;
};

describe('a bare document', () => {
  it.each<readonly [string, EvidenceInput]>([
    ['bytes', DOCUMENT],
    ['a view', new Uint8Array([0, ...DOCUMENT, 0]).subarray(1, 201)],
    ['a Buffer', Buffer.from(DOCUMENT)],
    ['an ArrayBuffer', DOCUMENT.slice().buffer],
    ['hex', HEX],
    ['upper-case hex', HEX.toUpperCase()],
    ['hex in lines', `\n${HEX.replace(/.{64}/g, '$&\n')}\n`],
    ['base64', encodeBase64(DOCUMENT)],
    ['base64 in lines', encodeBase64(DOCUMENT).replace(/.{64}/g, '$&\r\n')],
    ['base64url', encodeBase64Url(DOCUMENT)],
    ['base64 without padding', encodeBase64(DOCUMENT).replace(/=+$/, '')],
    ['base64 as bytes', new TextEncoder().encode(encodeBase64(DOCUMENT))],
    ['hex as bytes', new TextEncoder().encode(HEX)],
  ])('%s', (_name, input) => {
    const got = parse(input);
    expect(got.form).toBe('document');
    expect(got.document).toEqual(DOCUMENT);
    expect(got.quote).toBeUndefined();
    expect(got.claims).toEqual({ pcrs: undefined, nonces: [], publicKeys: [] });
  });

  it.each([0x84, 0x9f, 0xd2])('may start with %i', (first) => {
    const bytes = DOCUMENT.with(0, first);
    for (const input of [bytes, encodeHex(bytes), encodeBase64(bytes)])
      expect(parse(input).document).toEqual(bytes);
  });

  it('reads every document in every text form', () => {
    const bytes = fc
      .tuple(fc.constantFrom(0x84, 0x9f, 0xd2), fc.uint8Array({ maxLength: 80 }))
      .map(([first, rest]) => new Uint8Array([first, ...rest]));
    fc.assert(
      fc.property(bytes, (document) => {
        for (const form of [encodeHex, encodeBase64, encodeBase64Url])
          expect(parse(form(document)).document).toEqual(document);
      }),
    );
  });

  it('is copied', () => {
    const mine = DOCUMENT.slice();
    const got = parse(mine);
    mine.fill(0);
    expect(got.document).toEqual(DOCUMENT);
    const buffer = DOCUMENT.slice().buffer;
    const fromBuffer = parse(buffer);
    new Uint8Array(buffer).fill(0);
    expect(fromBuffer.document).toEqual(DOCUMENT);
  });
});

describe('a bundle', () => {
  it.each([
    ['object', (b: Json) => b],
    ['text', (b: Json) => JSON.stringify(b)],
    [
      'text with spaces and a byte order mark',
      (b: Json) => `\ufeff\n ${JSON.stringify(b, null, 2)}\n`,
    ],
    ['bytes', (b: Json) => new TextEncoder().encode(JSON.stringify(b))],
  ] as const)('in either form, as %s', (_name, form) => {
    const one = parse(form(seed()));
    expect(one.form).toBe('bundle-seed');
    expect(one.document).toEqual(DOCUMENT);
    expect(encodeHex(one.quote?.ak as Uint8Array)).toBe(`04${X}${Y}`);
    expect(encodeHex(one.quote?.attest as Uint8Array)).toBe('ff54');
    expect(one.claims.nonces.map(([f]) => f)).toEqual([
      'attestation.nitro.nonce',
      'attestation.tpm.ecc_p256.nonce',
    ]);
    expect([...(one.claims.pcrs?.keys() ?? [])]).toEqual([0, 31]);
    const two = parse(form(later()));
    expect(two.form).toBe('bundle-later');
    expect(two.claims.nonces.map(([f]) => f)).toEqual(['nonce']);
    expect(encodeHex(two.quote?.akPublic as Uint8Array)).toBe('0023');
    expect(two.eventLog).toEqual(new Uint8Array(3));
  });

  it.each<readonly [string, (bundle: Json) => void]>([
    ['no quote', (b) => delete b.attestation.tpm],
    ['no PCRs', (b) => delete b.pcrs],
    ['other banks only', (b) => (b.pcrs = { sha256: { '0': 'zz' } })],
    ['null nonces', (b) => (b.nonce = b.attestation.nitro.nonce = null)],
    ['unknown fields', (b) => (b.more = b.attestation.nitro.more = [1])],
    ['empty nonce', (b) => (b.nonce = '')],
    ['empty event log', (b) => (b.event_log = '')],
    ['hex in upper case', (b) => (b.attestation.nitro.document = HEX.toUpperCase())],
  ])('accepts: %s', (_name, edit) => {
    parse(edited(edit));
    parse(edited(edit, later));
  });

  it.each<readonly [string, Code, (bundle: Json) => void]>([
    ['no attestation', 'evidence.unrecognized', (b) => delete b.attestation],
    ['attestation null', 'evidence.field-missing', (b) => (b.attestation = null)],
    ['attestation as array', 'evidence.field-invalid', (b) => (b.attestation = [])],
    ['attestation as text', 'evidence.field-invalid', (b) => (b.attestation = HEX)],
    ['gcp', 'evidence.platform-unsupported', (b) => (b.attestation = { gcp: {}, tpm: {} })],
    ['gcp beside nitro', 'evidence.platform-unsupported', (b) => (b.attestation.gcp = {})],
    [
      '__proto__ beside nitro',
      'evidence.platform-unsupported',
      (b) => Object.defineProperty(b.attestation, '__proto__', { value: {}, enumerable: true }),
    ],
    ['no nitro', 'evidence.field-missing', (b) => delete b.attestation.nitro],
    ['nitro null', 'evidence.field-missing', (b) => (b.attestation.nitro = null)],
    ['nitro as text', 'evidence.field-invalid', (b) => (b.attestation.nitro = HEX)],
    ['version 2', 'evidence.field-invalid', (b) => (b.version = 2)],
    ['version "1"', 'evidence.field-invalid', (b) => (b.version = '1')],
    ['version null', 'evidence.field-invalid', (b) => (b.version = null)],
    ['no document', 'evidence.field-missing', (b) => delete b.attestation.nitro.document],
    ['document null', 'evidence.field-missing', (b) => (b.attestation.nitro.document = null)],
    ['document as list', 'evidence.field-invalid', (b) => (b.attestation.nitro.document = [0x84])],
    [
      'document in base64',
      'evidence.field-invalid',
      (b) => (b.attestation.nitro.document = encodeBase64(DOCUMENT)),
    ],
    [
      'document of odd length',
      'evidence.field-invalid',
      (b) => (b.attestation.nitro.document = `${HEX}a`),
    ],
    [
      'document too large',
      'evidence.too-large',
      (b) => (b.attestation.nitro.document = '84'.repeat(65_537)),
    ],
    ['tpm as array', 'evidence.field-invalid', (b) => (b.attestation.tpm = [])],
    ['tpm without key', 'evidence.field-missing', (b) => (b.attestation.tpm = {})],
    ['tpm of another key', 'evidence.field-missing', (b) => (b.attestation.tpm = { rsa2048: {} })],
    [
      'no attest_data',
      'evidence.field-missing',
      (b) => delete b.attestation.tpm.ecc_p256.attest_data,
    ],
    [
      'attest_data as number',
      'evidence.field-invalid',
      (b) => (b.attestation.tpm.ecc_p256.attest_data = 5),
    ],
    [
      'attest_data null',
      'evidence.field-missing',
      (b) => (b.attestation.tpm.ecc_p256.attest_data = null),
    ],
    [
      'attest_data too long',
      'evidence.field-invalid',
      (b) => (b.attestation.tpm.ecc_p256.attest_data = '00'.repeat(1025)),
    ],
    ['no signature', 'evidence.field-missing', (b) => delete b.attestation.tpm.ecc_p256.signature],
    [
      'signature too long',
      'evidence.field-invalid',
      (b) => (b.attestation.tpm.ecc_p256.signature = '00'.repeat(257)),
    ],
    [
      'no keys',
      'evidence.field-missing',
      (b) => (b.signing_key_public_keys = b.ak_pubkeys = undefined),
    ],
    ['no key', 'evidence.field-missing', (b) => (b.signing_key_public_keys = b.ak_pubkeys = {})],
    [
      'key as text',
      'evidence.field-invalid',
      (b) => (b.signing_key_public_keys = b.ak_pubkeys = { ecc_p256: X }),
    ],
    [
      'no x',
      'evidence.field-missing',
      (b) => delete (b.ak_pubkeys ?? b.signing_key_public_keys).ecc_p256.x,
    ],
    [
      'y of 31 bytes',
      'evidence.field-invalid',
      (b) => ((b.ak_pubkeys ?? b.signing_key_public_keys).ecc_p256.y = '22'.repeat(31)),
    ],
    [
      'y of 33 bytes',
      'evidence.field-invalid',
      (b) => ((b.ak_pubkeys ?? b.signing_key_public_keys).ecc_p256.y = '22'.repeat(33)),
    ],
    [
      'x empty',
      'evidence.field-invalid',
      (b) => ((b.ak_pubkeys ?? b.signing_key_public_keys).ecc_p256.x = ''),
    ],
    [
      'tpmt_public not hex',
      'evidence.field-invalid',
      (b) => ((b.ak_pubkeys ?? b.signing_key_public_keys).ecc_p256.tpmt_public = 'zz'),
    ],
    ['nonce not hex', 'evidence.field-invalid', (b) => (b.nonce = 'xyz0')],
    ['nonce as number', 'evidence.field-invalid', (b) => (b.nonce = 5)],
    [
      'nonce too long',
      'evidence.field-invalid',
      (b) => (b.attestation.nitro.nonce = '00'.repeat(1025)),
    ],
    ['public_key false', 'evidence.field-invalid', (b) => (b.attestation.nitro.public_key = false)],
    ['pcrs as array', 'evidence.field-invalid', (b) => (b.pcrs = [])],
    ['pcrs.sha384 as array', 'evidence.field-invalid', (b) => (b.pcrs.sha384 = [PCR])],
    ['PCR 32', 'evidence.field-invalid', (b) => (b.pcrs.sha384['32'] = PCR)],
    ['PCR 00', 'evidence.field-invalid', (b) => (b.pcrs.sha384['00'] = PCR)],
    ['PCR -1', 'evidence.field-invalid', (b) => (b.pcrs.sha384['-1'] = PCR)],
    [
      'PCR __proto__',
      'evidence.field-invalid',
      (b) => Object.defineProperty(b.pcrs.sha384, '__proto__', { value: PCR, enumerable: true }),
    ],
    ['PCR of 47 bytes', 'evidence.field-invalid', (b) => (b.pcrs.sha384['4'] = 'ab'.repeat(47))],
    ['PCR as number', 'evidence.field-invalid', (b) => (b.pcrs.sha384['4'] = 0)],
    ['PCR null', 'evidence.field-invalid', (b) => (b.pcrs.sha384['4'] = null)],
    ['event_log as object', 'evidence.field-invalid', (b) => (b.event_log = {})],
    ['event_log in bad base64', 'evidence.field-invalid', (b) => (b.event_log = 'A')],
  ])('%s', (_name, code, edit) => {
    for (const form of [seed, later]) {
      expectCode(() => parse(edited(edit, form)), code);
      // As text too, where JSON can say it.
      if (!_name.startsWith('no keys'))
        expectCode(() => parse(JSON.stringify(edited(edit, form))), code);
    }
  });

  it('believes no inherited field', () => {
    expectCode(() => parse(Object.create(seed())), 'evidence.unrecognized');
    const bundle = seed();
    bundle.attestation.nitro = Object.create(bundle.attestation.nitro);
    expectCode(() => parse(bundle), 'evidence.field-missing');
  });

  it('refuses every truncation of its text', () => {
    const text = JSON.stringify(seed());
    for (let length = 1; length < text.length; length += 7)
      expectCode(() => parse(text.slice(0, length)), 'evidence.json-invalid');
    for (const cut of [...prefixes(new TextEncoder().encode(text))].slice(1, 40))
      expectCode(() => parse(cut), 'evidence.json-invalid');
  });
});

describe('what is no evidence', () => {
  it.each<readonly [string, Code, unknown]>([
    ['no bytes', 'evidence.empty', new Uint8Array(0)],
    ['no ArrayBuffer', 'evidence.empty', new ArrayBuffer(0)],
    ['empty text', 'evidence.empty', ''],
    ['white space', 'evidence.empty', ' \n\t'],
    ['white space as bytes', 'evidence.empty', new TextEncoder().encode(' \n')],
    ['null', 'evidence.unrecognized', null],
    ['undefined', 'evidence.unrecognized', undefined],
    ['a number', 'evidence.unrecognized', 5],
    ['true', 'evidence.unrecognized', true],
    ['a function', 'evidence.unrecognized', () => HEX],
    ['a symbol', 'evidence.unrecognized', Symbol('x')],
    ['a list', 'evidence.field-invalid', [...DOCUMENT]],
    ['a Date', 'evidence.unrecognized', new Date()],
    ['a DataView', 'evidence.unrecognized', new DataView(DOCUMENT.buffer)],
    ['an empty object', 'evidence.unrecognized', {}],
    ['an empty object as text', 'evidence.unrecognized', '{}'],
    ['a PEM certificate', 'evidence.unrecognized', '-----BEGIN CERTIFICATE-----'],
    ['hex of something else', 'evidence.unrecognized', 'a1b2'],
    ['base64 of something else', 'evidence.unrecognized', 'AAAA'],
    ['hex with a prefix', 'evidence.unrecognized', `0x${HEX}`],
    ['odd hex', 'evidence.unrecognized', `${HEX}a`],
    ['hex with a hyphen', 'evidence.unrecognized', `${HEX}-`],
    ['base64 of two alphabets', 'evidence.unrecognized', `hAAA+-${'A'.repeat(6)}`],
    ['base64 with a NUL', 'evidence.unrecognized', `${encodeBase64(DOCUMENT)}\0`],
    ['a JSON list', 'evidence.unrecognized', '[]'],
    ['a JSON text', 'evidence.unrecognized', `"${HEX}"`],
    ['broken JSON', 'evidence.json-invalid', '{'],
    ['JSON with a comment', 'evidence.json-invalid', '{/**/}'],
    ['two JSON objects', 'evidence.json-invalid', '{}{}'],
    ['bytes that are no text', 'evidence.unrecognized', Uint8Array.of(0x7b, 0xff)],
    ['a CBOR map', 'evidence.unrecognized', Uint8Array.of(0xa0)],
    ['a long-form tag', 'evidence.unrecognized', Uint8Array.of(0xd8, 0x12, 0x84)],
    ['a document of 64 KiB and a byte', 'evidence.too-large', new Uint8Array(65_537).fill(0x84)],
    ['the same as hex', 'evidence.too-large', '84'.repeat(65_537)],
    ['the same as base64', 'evidence.too-large', encodeBase64(new Uint8Array(65_537).fill(0x84))],
    ['1 MiB and a byte of JSON', 'evidence.too-large', `{${' '.repeat(1_048_576)}`],
    ['1 MiB and a byte of JSON bytes', 'evidence.too-large', new Uint8Array(1_048_577).fill(0x7b)],
    ['2 MiB and a byte of text', 'evidence.too-large', ' '.repeat(2_097_153)],
  ])('%s', (name, code, input) => {
    if (code === 'evidence.empty') expect(valueOrCode(() => parse(input))).toBe(code);
    else if (name !== '') expectCode(() => parse(input), code);
  });

  it('null stands for absent where a field is optional', () => {
    const bundle = edited((b) => {
      b.pcrs = null;
      b.event_log = null;
      b.attestation.nitro.nonce = null;
      b.attestation.nitro.public_key = null;
      b.attestation.tpm = null;
    }, seed);
    expect(parse(bundle)).toMatchObject({ quote: undefined, eventLog: undefined });
  });

  it('random text and bytes never throw anything but our error, and never wait', () => {
    const text = fc.oneof(fc.string({ maxLength: 300 }), fc.json(), fc.base64String());
    fc.assert(
      fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 300 }), fc.object()), (input) => {
        valueOrCode(() => parse(input));
      }),
      { numRuns: 1000 },
    );
  });

  it('random fields in a bundle never throw anything but our error', () => {
    const paths = [
      'version',
      'nonce',
      'pcrs',
      'event_log',
      'attestation',
      'attestation.nitro',
      'attestation.nitro.document',
      'attestation.tpm',
      'attestation.tpm.ecc_p256',
      'attestation.tpm.ecc_p256.signature',
      'pcrs.sha384',
      'pcrs.sha384.0',
      'ak_pubkeys',
      'ak_pubkeys.ecc_p256',
      'ak_pubkeys.ecc_p256.x',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 3 }), (path, value) => {
        const bundle = later();
        const keys = path.split('.');
        const last = keys.pop() as string;
        keys.reduce((o, k) => o[k], bundle)[last] = value;
        valueOrCode(() => parse(bundle));
      }),
      { numRuns: 1000 },
    );
  });

  it('takes a bundle that is exactly as large as allowed', () => {
    const text = JSON.stringify(seed());
    expect(parse(text + ' '.repeat(1_048_576 - text.length)).form).toBe('bundle-seed');
  });
});

describe('compareSenderClaims', () => {
  const document = {
    pcrs: new Map([[0, new Uint8Array(48).fill(1)]]),
    nonce: Uint8Array.of(1, 2),
    publicKey: undefined,
  } as unknown as VerifiedDocument;
  const NONE = { pcrs: undefined, nonces: [], publicKeys: [] } as const;
  const compare = (claims: Partial<UnverifiedEvidence['claims']>, to = document): string[] => {
    const { heard, note } = notes();
    compareSenderClaims(to, { ...NONE, ...claims }, note);
    return heard;
  };

  it('accepts what equals the signed values, and notes only what was compared', () => {
    expect(compare({})).toEqual([]);
    expect(compare({ pcrs: new Map([[0, new Uint8Array(48).fill(1)]]) })).toHaveLength(1);
    expect(
      compare({ nonces: [['nonce', Uint8Array.of(1, 2)]], publicKeys: [['k', new Uint8Array(0)]] }),
    ).toHaveLength(2);
    expect(compare({ pcrs: new Map() })).toHaveLength(1);
  });

  it.each<readonly [string, Code, Partial<UnverifiedEvidence['claims']>]>([
    [
      'another PCR value',
      'bundle.pcrs-mismatch',
      { pcrs: new Map([[0, new Uint8Array(48).fill(2)]]) },
    ],
    [
      'a PCR the document lacks',
      'bundle.pcrs-mismatch',
      { pcrs: new Map([[1, new Uint8Array(48)]]) },
    ],
    [
      'a good and a wrong PCR',
      'bundle.pcrs-mismatch',
      {
        pcrs: new Map([
          [0, new Uint8Array(48).fill(1)],
          [4, new Uint8Array(48)],
        ]),
      },
    ],
    ['another nonce', 'bundle.nonce-mismatch', { nonces: [['nonce', Uint8Array.of(1, 3)]] }],
    ['a prefix of the nonce', 'bundle.nonce-mismatch', { nonces: [['nonce', Uint8Array.of(1)]] }],
    ['an empty nonce', 'bundle.nonce-mismatch', { nonces: [['nonce', new Uint8Array(0)]] }],
    [
      'a good nonce and another',
      'bundle.nonce-mismatch',
      {
        nonces: [
          ['a', Uint8Array.of(1, 2)],
          ['b', Uint8Array.of(2, 1)],
        ],
      },
    ],
    [
      'a public key where none is signed',
      'bundle.public-key-mismatch',
      { publicKeys: [['k', Uint8Array.of(4)]] },
    ],
  ])('%s', (_name, code, claims) => {
    expectCode(() => compare(claims), code);
  });
});
