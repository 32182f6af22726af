import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cbor, enclavePcrs, nitroTpmPcrs, pcrMap } from '../../test-vectors/mint/index.js';
import { encodeHex } from '../bytes/hex.js';
import { decodeCbor } from '../cbor.js';
import type { Code } from '../result/codes.js';
import { expectCode, notes, valueOrCode } from '../test-support/rejection.js';
import { parseDocument, type UnverifiedDocument } from './document.js';
import { pcrMeaning } from './pcr-meaning.js';

const { array, bstr, indefinite, int, map, NULL, tstr } = cbor;
type Fields = Record<string, Uint8Array | undefined>;
const UNDEFINED = Uint8Array.of(0xf7);
const FLOAT = Uint8Array.of(0xf9, 0x3c, 0x00);
const MADE = Date.UTC(2026, 2, 1, 12);
const bytes = (length: number): Uint8Array => bstr(new Uint8Array(length).fill(1));

const FIELDS: Fields = {
  module_id: tstr('i-0123456789abcdef0-tpm0000000000000000'),
  digest: tstr('SHA384'),
  timestamp: int(MADE),
  nitrotpm_pcrs: pcrMap(nitroTpmPcrs()),
  certificate: bytes(600),
  cabundle: array(bytes(500), bytes(501)),
  public_key: NULL,
  user_data: NULL,
  nonce: NULL,
};

const entries = (fields: Fields): [Uint8Array, Uint8Array][] =>
  Object.entries(fields).flatMap(([key, value]) => (value ? [[tstr(key), value]] : []));
const parse = (payload: Uint8Array, note = (_: string): void => undefined): UnverifiedDocument =>
  parseDocument(decodeCbor(payload, 'payload'), note);
const withFields = (change: Fields): Uint8Array => map(...entries({ ...FIELDS, ...change }));
const pcrs = (...pairs: [number | Uint8Array, Uint8Array][]): Fields => ({
  nitrotpm_pcrs: map(...pairs.map(([k, v]) => [k instanceof Uint8Array ? k : int(k), v] as const)),
});
const PCR = bytes(48);

describe('parseDocument', () => {
  it.each<readonly [string, Code, Fields]>([
    ...Object.keys(FIELDS)
      .slice(0, 6)
      .flatMap((key) => [
        [`no ${key}`, 'document.field-missing', { [key]: undefined }] as const,
        [`${key} null`, 'document.field-missing', { [key]: NULL }] as const,
        [`${key} undefined`, 'document.field-missing', { [key]: UNDEFINED }] as const,
        [`${key} as float`, 'document.field-type', { [key]: FLOAT }] as const,
        [`${key} true`, 'document.field-type', { [key]: Uint8Array.of(0xf5) }] as const,
      ]),
    ['module_id as bytes', 'document.field-type', { module_id: bytes(5) }],
    ['module_id empty', 'document.field-size', { module_id: tstr('') }],
    ['module_id of 257 characters', 'document.field-size', { module_id: tstr('a'.repeat(257)) }],
    ['digest SHA256', 'document.digest-unsupported', { digest: tstr('SHA256') }],
    ['digest sha384', 'document.digest-unsupported', { digest: tstr('sha384') }],
    ['digest SHA-384', 'document.digest-unsupported', { digest: tstr('SHA-384') }],
    ['digest with a space', 'document.digest-unsupported', { digest: tstr('SHA384 ') }],
    ['digest empty', 'document.digest-unsupported', { digest: tstr('') }],
    ['digest as bytes', 'document.field-type', { digest: bytes(6) }],
    ['timestamp 0', 'document.timestamp-invalid', { timestamp: int(0) }],
    ['timestamp negative', 'document.timestamp-invalid', { timestamp: int(-1) }],
    ['timestamp in seconds', 'document.timestamp-invalid', { timestamp: int(MADE / 1000) }],
    ['timestamp in microseconds', 'document.timestamp-invalid', { timestamp: int(MADE * 1000) }],
    ['timestamp of 64 bits', 'document.timestamp-invalid', { timestamp: int(2n ** 64n - 1n) }],
    ['timestamp of -2^64', 'document.timestamp-invalid', { timestamp: int(-(2n ** 64n)) }],
    ['timestamp as text', 'document.field-type', { timestamp: tstr(String(MADE)) }],
    ['both kinds of PCRs', 'document.pcrs-ambiguous', { pcrs: pcrMap(enclavePcrs()) }],
    ['both kinds of PCRs, one wrong', 'document.pcrs-ambiguous', { pcrs: int(0) }],
    ['neither kind, one null', 'document.field-missing', { nitrotpm_pcrs: undefined, pcrs: NULL }],
    ['PCRs as array', 'document.field-type', { nitrotpm_pcrs: array(PCR) }],
    ['PCRs as bytes', 'document.field-type', { nitrotpm_pcrs: PCR }],
    ['no PCRs', 'document.pcr-count', pcrs()],
    [
      '33 PCRs',
      'document.pcr-count',
      pcrs(...Array.from({ length: 33 }, (_, i) => [i, PCR] as [number, Uint8Array])),
    ],
    ['PCR 32', 'document.pcr-index', pcrs([32, PCR])],
    ['PCR -1', 'document.pcr-index', pcrs([-1, PCR])],
    ['PCR 2^64 - 1', 'document.pcr-index', pcrs([int(2n ** 64n - 1n), PCR])],
    ['PCR index as text', 'document.pcr-index', pcrs([tstr('0'), PCR])],
    ['PCR index as bytes', 'document.pcr-index', pcrs([bytes(1), PCR])],
    ['PCR index as float', 'document.pcr-index', pcrs([FLOAT, PCR])],
    ['PCR index null', 'document.pcr-index', pcrs([NULL, PCR])],
    ['PCR of 47 bytes', 'document.pcr-size', pcrs([0, PCR], [1, bytes(47)])],
    ['PCR of 49 bytes', 'document.pcr-size', pcrs([0, bytes(49)])],
    ['PCR of 32 bytes', 'document.pcr-size', pcrs([0, bytes(32)])],
    ['PCR of 0 bytes', 'document.pcr-size', pcrs([0, bytes(0)])],
    ['PCR as text', 'document.field-type', pcrs([0, tstr('a'.repeat(48))])],
    ['PCR null', 'document.field-type', pcrs([0, NULL])],
    ['certificate empty', 'document.field-size', { certificate: bytes(0) }],
    ['certificate of 1025 bytes', 'document.field-size', { certificate: bytes(1025) }],
    ['certificate as text', 'document.field-type', { certificate: tstr('a') }],
    ['certificate as array', 'document.field-type', { certificate: array(bytes(5)) }],
    ['cabundle empty', 'document.field-size', { cabundle: array() }],
    ['cabundle as bytes', 'document.field-type', { cabundle: bytes(600) }],
    ['cabundle as map', 'document.field-type', { cabundle: map([int(0), bytes(600)]) }],
    ['cabundle item empty', 'document.field-size', { cabundle: array(bytes(500), bytes(0)) }],
    ['cabundle item of 1025 bytes', 'document.field-size', { cabundle: array(bytes(1025)) }],
    ['cabundle item null', 'document.field-type', { cabundle: array(bytes(500), NULL) }],
    ['cabundle item as text', 'document.field-type', { cabundle: array(tstr('a')) }],
    ...['public_key', 'user_data', 'nonce'].flatMap((key) => [
      [`${key} of 1025 bytes`, 'document.field-size', { [key]: bytes(1025) }] as const,
      [`${key} as text`, 'document.field-type', { [key]: tstr('a') }] as const,
      [`${key} as integer`, 'document.field-type', { [key]: int(0) }] as const,
      [`${key} as array`, 'document.field-type', { [key]: array() }] as const,
      [`${key} false`, 'document.field-type', { [key]: Uint8Array.of(0xf4) }] as const,
    ]),
  ])('%s', (_name, code, change) => {
    expectCode(() => parse(withFields(change)), code);
  });

  it.each([array(), NULL, int(1), tstr('{}'), bytes(5), FLOAT])(
    'a payload that is no map',
    (payload) => {
      expectCode(() => parse(payload), 'document.malformed');
    },
  );

  it('reads every field', () => {
    const heard = notes();
    const document = parse(withFields({ nonce: bytes(32), user_data: bytes(0) }), heard.note);
    expect(document).toMatchObject({
      platform: 'nitrotpm',
      moduleId: 'i-0123456789abcdef0-tpm0000000000000000',
      timestampMs: MADE,
      publicKey: undefined,
      unknownKeys: [],
    });
    expect(document.nonce).toHaveLength(32);
    expect(document.userData).toHaveLength(0);
    expect(document.cabundle.map((c) => c.length)).toEqual([500, 501]);
    expect([...document.pcrs.keys()]).toEqual([...nitroTpmPcrs().keys()]);
    for (const [index, value] of nitroTpmPcrs()) expect(document.pcrs.get(index)).toEqual(value);
    expect(heard.heard).toContain('24 SHA-384 PCRs');
  });

  it('tells an enclave by its key, and ignores the other key when it is null', () => {
    const enclave = { nitrotpm_pcrs: NULL, pcrs: pcrMap(enclavePcrs()) };
    expect(parse(withFields(enclave)).platform).toBe('enclave');
    expect(parse(withFields({ pcrs: NULL })).platform).toBe('nitrotpm');
    expect(parse(withFields({ pcrs: UNDEFINED })).platform).toBe('nitrotpm');
  });

  it('reads any order and both lengths of maps; absent optionals may be left out', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(entries(FIELDS), { minLength: 9 }),
        fc.boolean(),
        (order, end) => {
          const payload = end ? indefinite(5, ...order.flat()) : map(...order);
          expect(parse(payload).moduleId).toContain('tpm');
        },
      ),
      { numRuns: 30 },
    );
    const short = entries(FIELDS).slice(0, 6);
    expect(parse(map(...short))).toMatchObject({ publicKey: undefined, nonce: undefined });
  });

  it('gives PCRs in ascending order', () => {
    const order = [31, 4, 0, 12];
    const document = parse(withFields(pcrs(...order.map((i) => [i, PCR] as [number, Uint8Array]))));
    expect([...document.pcrs.keys()]).toEqual([0, 4, 12, 31]);
  });

  it.each<readonly [string, Fields]>([
    [
      'limits of sizes',
      {
        certificate: bytes(1024),
        cabundle: array(bytes(1), bytes(1024)),
        nonce: bytes(1024),
        module_id: tstr('a'.repeat(256)),
      },
    ],
    ['32 PCRs', pcrs(...Array.from({ length: 32 }, (_, i) => [i, PCR] as [number, Uint8Array]))],
    ['one PCR', pcrs([0, PCR])],
    ['first moment of 2018', { timestamp: int(Date.UTC(2018, 0, 1)) }],
    ['timestamp in a wide encoding', { timestamp: int(MADE, 8) }],
  ])('accepts: %s', (_name, change) => {
    parse(withFields(change));
  });

  it('tolerates unknown keys of any type, and says so', () => {
    const heard = notes();
    const more = [tstr('x'), int(7), bytes(2), array(int(1)), map(), NULL, FLOAT];
    const document = parse(
      map(...entries(FIELDS), ...more.map((k) => [k, FLOAT] as const)),
      heard.note,
    );
    expect(document.unknownKeys).toHaveLength(7);
    expect(heard.heard.at(-1)).toContain('unknown keys');
  });

  it('is not fooled by keys that only look like known ones', () => {
    const fields: Fields = { ...FIELDS, nonce: undefined };
    const odd = [bstr(cbor.utf8('nonce')), tstr('Nonce'), tstr('nonce '), array(tstr('nonce'))];
    const document = parse(map(...entries(fields), ...odd.map((k) => [k, bytes(8)] as const)));
    expect(document.nonce).toBeUndefined();
    expect(document.unknownKeys).toHaveLength(4);
  });

  it('throws nothing but our error for payloads of any values', () => {
    const value = fc.constantFrom(
      NULL,
      UNDEFINED,
      FLOAT,
      int(0),
      int(-1),
      int(2n ** 64n - 1n),
      tstr(''),
      tstr('SHA384'),
      bytes(0),
      bytes(48),
      bytes(2000),
      array(),
      array(NULL),
      map(),
      map([int(0), PCR]),
    );
    const change = fc.dictionary(fc.constantFrom(...Object.keys(FIELDS), 'pcrs'), value, {
      maxKeys: 4,
    });
    fc.assert(
      fc.property(change, (fields) => {
        const got = valueOrCode(() => parse(withFields(fields)));
        if (typeof got === 'string') expect(got).toMatch(/^document\./);
        else for (const digest of got.pcrs.values()) expect(encodeHex(digest)).toHaveLength(96);
      }),
      { numRuns: 1500 },
    );
  });
});

describe('pcrMeaning', () => {
  it('says something for every PCR of both platforms', () => {
    for (const platform of ['nitrotpm', 'enclave'] as const)
      for (let index = 0; index < 32; index++) expect(pcrMeaning(platform, index)).toMatch(/\w{4}/);
    expect(pcrMeaning('nitrotpm', 17)).toContain('dynamic launch');
    expect(pcrMeaning('enclave', 8)).not.toBe(pcrMeaning('nitrotpm', 8));
  });
});
