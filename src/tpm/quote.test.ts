import fc from 'fast-check';
import { createNodeProvider } from 'tee-verify/node';
import { describe, expect, it } from 'vitest';
import {
  AK_ATTRIBUTES,
  ATTRIBUTE,
  TPM as ID,
  mintAk,
  mintQuote,
  nitroTpmPcrs,
  ORDER,
  pcrBitmap,
  type QuoteOverrides,
  rawToDer,
  replaceHalf,
  twin,
  withPcrs,
  writeTpmtPublic,
} from '../../test-vectors/mint/index.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import { concatBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { createEngine } from '../crypto/engine.js';
import { runFlowSync } from '../crypto/flow.js';
import type { SyncCrypto } from '../crypto/provider.js';
import { AttestationError } from '../result/attestation-error.js';
import type { Code } from '../result/codes.js';
import { expectCode, notes, prefixes, thrownBy, valueOrCode } from '../test-support/rejection.js';
import { parseQuote } from './attest.js';
import { ATTEST_NAMES } from './constants.js';
import { checkAttestationKey, parseEccPublic } from './ecc-public.js';
import { type QuoteBinding, type UnverifiedQuote, verifyQuote } from './quote.js';

interface Selection {
  readonly hash: number;
  readonly bitmap: Uint8Array;
}
interface Attest {
  readonly magic: number;
  readonly type: number;
  readonly name: Uint8Array;
  readonly extra: Uint8Array;
  readonly clock: bigint;
  readonly resets: number;
  readonly restarts: number;
  readonly safe: number;
  readonly firmware: bigint;
  readonly count?: number;
  readonly selections: readonly Selection[];
  readonly digest: Uint8Array;
}
const GOOD: Attest = {
  magic: 0xff544347,
  type: 0x8018,
  name: new Uint8Array(34).fill(1),
  extra: new Uint8Array(32).fill(2),
  clock: 2n ** 64n - 1n,
  resets: 2 ** 32 - 1,
  restarts: 7,
  safe: 1,
  firmware: 2n ** 63n,
  selections: [{ hash: 0x000c, bitmap: Uint8Array.of(0x11, 0, 0x80) }],
  digest: new Uint8Array(32).fill(3),
};
/** TPMS_ATTEST, written apart from the code under test and from the minting. */
function write(change: Partial<Attest> = {}): Uint8Array {
  const a = { ...GOOD, ...change };
  const writer = new ByteWriter().u32(a.magic).u16(a.type).sized16(a.name).sized16(a.extra);
  writer.u64(a.clock).u32(a.resets).u32(a.restarts).u8(a.safe).u64(a.firmware);
  writer.u32(a.count ?? a.selections.length);
  for (const { hash, bitmap } of a.selections) writer.u16(hash).u8(bitmap.length).bytes(bitmap);
  return writer.sized16(a.digest).finish();
}

describe('parseQuote', () => {
  it('reads what was written', () => {
    const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
    const selection = fc.record({ hash: fc.nat(0xffff), bitmap: bytes(4) });
    const attest = fc.record({
      name: bytes(66),
      extra: bytes(66),
      clock: fc.bigInt(0n, 2n ** 64n - 1n),
      resets: fc.nat(0xffffffff),
      restarts: fc.nat(0xffffffff),
      safe: fc.nat(1),
      firmware: fc.bigInt(0n, 2n ** 64n - 1n),
      selections: fc.array(selection, { maxLength: 16 }),
      digest: bytes(64),
    });
    fc.assert(
      fc.property(attest, (a) => {
        expect(parseQuote(write(a))).toEqual({
          qualifiedSigner: a.name,
          extraData: a.extra,
          clockMs: a.clock,
          resetCount: a.resets,
          restartCount: a.restarts,
          safe: a.safe === 1,
          firmwareVersion: a.firmware,
          selections: a.selections.map(({ hash, bitmap }) => ({
            hash,
            indices: [...bitmap].flatMap((byte, i) =>
              [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte >> bit) & 1).map((bit) => 8 * i + bit),
            ),
          })),
          pcrDigest: a.digest,
        });
      }),
      { numRuns: 300 },
    );
  });

  it.each<readonly [string, Code, Partial<Attest>]>([
    ['magic 0', 'quote.not-tpm-generated', { magic: 0 }],
    ['magic of another byte order', 'quote.not-tpm-generated', { magic: 0x474354ff }],
    ['magic with a bit flipped', 'quote.not-tpm-generated', { magic: 0xff544346 }],
    ...[...ATTEST_NAMES.keys(), 0, 0x1880, 0xffff]
      .filter((type) => type !== 0x8018)
      .map((type) => [`type 0x${type.toString(16)}`, 'quote.not-a-quote', { type }] as const),
    ['name of 67 bytes', 'quote.malformed', { name: new Uint8Array(67) }],
    ['extraData of 67 bytes', 'quote.malformed', { extra: new Uint8Array(67) }],
    ['digest of 65 bytes', 'quote.malformed', { digest: new Uint8Array(65) }],
    ['safe 2', 'quote.malformed', { safe: 2 }],
    ['safe 255', 'quote.malformed', { safe: 255 }],
    ['17 selections', 'quote.malformed', { selections: Array(17).fill(GOOD.selections[0]) }],
    ['2^32 - 1 selections', 'quote.malformed', { count: 0xffffffff }],
    ['one selection too few', 'quote.malformed', { count: 2 }],
    ['one selection too many', 'quote.malformed', { count: 0 }],
    [
      'bitmap of 5 bytes',
      'quote.malformed',
      { selections: [{ hash: 12, bitmap: new Uint8Array(5) }] },
    ],
    [
      'bitmap of 255 bytes',
      'quote.malformed',
      { selections: [{ hash: 12, bitmap: new Uint8Array(255) }] },
    ],
  ])('%s', (_name, code, change) => {
    expectCode(() => parseQuote(write(change)), code);
  });

  it('refuses every truncation and anything behind; TPM2B_ATTEST is not TPMS_ATTEST', () => {
    for (const cut of prefixes(write())) expectCode(() => parseQuote(cut), 'quote.malformed');
    expectCode(() => parseQuote(concatBytes(write(), Uint8Array.of(0))), 'quote.malformed');
    const sized = new ByteWriter().sized16(write()).finish();
    expectCode(() => parseQuote(sized), 'quote.not-tpm-generated');
  });

  it('mutations give our error or other contents', () => {
    const good = write();
    const say = (bytes: Uint8Array): string =>
      JSON.stringify(parseQuote(bytes), (_, v) => (typeof v === 'bigint' ? `${v}` : v));
    for (let at = 0; at < good.length; at++)
      for (const flip of [1, 0x80, 0xff]) {
        const changed = good.with(at, (good[at] as number) ^ flip);
        try {
          expect(say(changed)).not.toBe(say(good));
        } catch (error) {
          expect(error).toBeInstanceOf(AttestationError);
        }
      }
  });
});

interface Public {
  readonly type: number;
  readonly nameAlg: number;
  readonly attributes: number;
  readonly policy: Uint8Array;
  readonly symmetric: number;
  readonly scheme: number;
  readonly schemeHash: number | undefined;
  readonly curve: number;
  readonly kdf: number;
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}
const KEY: Public = {
  type: 0x0023,
  nameAlg: 0x000b,
  attributes: AK_ATTRIBUTES,
  policy: new Uint8Array(0),
  symmetric: 0x0010,
  scheme: 0x0018,
  schemeHash: 0x000b,
  curve: 0x0003,
  kdf: 0x0010,
  x: new Uint8Array(32).fill(1),
  y: new Uint8Array(32).fill(2),
};
function writeKey(change: Partial<Public> = {}): Uint8Array {
  const k = { ...KEY, ...change };
  const writer = new ByteWriter().u16(k.type).u16(k.nameAlg).u32(k.attributes).sized16(k.policy);
  writer.u16(k.symmetric).u16(k.scheme);
  if (k.schemeHash !== undefined) writer.u16(k.schemeHash);
  return writer.u16(k.curve).u16(k.kdf).sized16(k.x).sized16(k.y).finish();
}

describe('parseEccPublic', () => {
  it('reads what was written; short coordinates are padded', () => {
    const key = fc.record({
      nameAlg: fc.nat(0xffff),
      attributes: fc.nat(0xffffffff),
      policy: fc.uint8Array({ maxLength: 64 }),
      schemeHash: fc.nat(0xffff),
      x: fc.uint8Array({ maxLength: 32 }),
      y: fc.uint8Array({ maxLength: 32 }),
    });
    fc.assert(
      fc.property(key, (k) => {
        const pad = (c: Uint8Array): string => encodeHex(c).padStart(64, '0');
        expect(parseEccPublic(writeKey(k))).toEqual({
          nameAlg: k.nameAlg,
          attributes: k.attributes,
          scheme: 0x0018,
          schemeHash: k.schemeHash,
          point: new Uint8Array(Buffer.from(`04${pad(k.x)}${pad(k.y)}`, 'hex')),
        });
      }),
    );
    const open = parseEccPublic(writeKey({ scheme: 0x0010, schemeHash: undefined }));
    expect(open.schemeHash).toBeUndefined();
  });

  it.each<readonly [string, Partial<Public>]>([
    ['RSA', { type: 0x0001 }],
    ['KEYEDHASH', { type: 0x0008 }],
    ['policy of 65 bytes', { policy: new Uint8Array(65) }],
    ['a symmetric algorithm', { symmetric: 0x0006 }],
    ['P-384', { curve: 0x0004 }],
    ['curve 0', { curve: 0 }],
    ['a KDF', { kdf: 0x0020 }],
    ['x of 33 bytes', { x: new Uint8Array(33) }],
    ['y of 33 bytes', { y: new Uint8Array(33) }],
    ['ECDAA, which has a count', { scheme: 0x001a, schemeHash: undefined }],
  ])('%s is refused', (_name, change) => {
    expectCode(() => parseEccPublic(writeKey(change)), 'quote.ak-malformed');
  });

  it('refuses every truncation, anything behind, and TPM2B_PUBLIC', () => {
    for (const cut of prefixes(writeKey()))
      expectCode(() => parseEccPublic(cut), 'quote.ak-malformed');
    expectCode(
      () => parseEccPublic(concatBytes(writeKey(), Uint8Array.of(0))),
      'quote.ak-malformed',
    );
    expectCode(
      () => parseEccPublic(new ByteWriter().sized16(writeKey()).finish()),
      'quote.ak-malformed',
    );
  });

  it('random bytes never throw anything but our error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(90), (bytes, at) => {
        valueOrCode(() => parseEccPublic(bytes));
        valueOrCode(() => parseQuote(bytes));
        valueOrCode(() => parseEccPublic(concatBytes(writeKey().subarray(0, at), bytes)));
        valueOrCode(() => parseQuote(concatBytes(write().subarray(0, at), bytes)));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('checkAttestationKey', () => {
  const check = (change: Partial<Public>) => checkAttestationKey(parseEccPublic(writeKey(change)));
  it('accepts a restricted signing key, whatever else it may', () => {
    check({});
    check({ attributes: (AK_ATTRIBUTES | 0x00000400) >>> 0 });
  });

  it.each(['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign'] as const)(
    'refuses one without %s, and names it',
    (name) => {
      const attributes = (AK_ATTRIBUTES & ~ATTRIBUTE[name]) >>> 0;
      expect(expectCode(() => check({ attributes }), 'quote.ak-attributes').actual).toContain(
        `not ${name}`,
      );
    },
  );

  it.each<readonly [string, Partial<Public>]>([
    ['decrypt', { attributes: AK_ATTRIBUTES | ATTRIBUTE.decrypt }],
    ['no attributes', { attributes: 0 }],
    ['all attributes', { attributes: 0xffffffff }],
    ['open scheme', { scheme: 0x0010, schemeHash: undefined }],
    ['SHA-1', { schemeHash: 0x0004 }],
    ['SHA-384', { schemeHash: 0x000c }],
    ['ECSCHNORR', { scheme: 0x001c }],
  ])('refuses: %s', (_name, change) => {
    expectCode(() => check(change), 'quote.ak-attributes');
  });
});

describe('verifyQuote', async () => {
  const engine = createEngine('node', createNodeProvider().sync as SyncCrypto);
  const NONCE = new Uint8Array(32).fill(0x5a);
  const ak = await mintAk();
  const other = await mintAk();
  const pcrs = nitroTpmPcrs();
  const binding: QuoteBinding = { publicKey: ak.point, nonce: NONCE, pcrs };
  const mint = async (overrides: QuoteOverrides = {}, change: Partial<UnverifiedQuote> = {}) => {
    const { attestData, signature } = await mintQuote({ ak, ...overrides });
    return { attest: attestData, signature, ak: ak.point, akPublic: undefined, ...change };
  };
  const verify = (
    quote: UnverifiedQuote | undefined,
    to: Partial<QuoteBinding> = {},
    heard = notes(),
  ) => runFlowSync(verifyQuote(quote, { ...binding, ...to }, engine, heard.note));

  it('accepts a good one, and says what it proves', async () => {
    const heard = notes();
    const quote = verify(await mint(), {}, heard);
    expect(quote.akAttributes).toBe('unknown');
    expect(quote.quotedPcrs).toEqual([...pcrs.keys()]);
    expect(heard.heard).toHaveLength(5);
    expect(verify(await mint({}, { akPublic: writeTpmtPublic(ak) })).akAttributes).toBe('claimed');
  });

  it('accepts the twin of the signature, and any digest of fewer PCRs when the document has no more', async () => {
    verify(await mint({ rawSignature: (s) => twin(s, 'P-256') }));
    const few = new Map([...pcrs].slice(0, 8));
    verify(await mint({ pcrs: few }), { pcrs: few });
    verify(await mint({ nonce: new Uint8Array(0) }), { nonce: undefined });
    verify(await mint({ nonce: new Uint8Array(0) }), { nonce: new Uint8Array(0) });
  });

  const sha384 = (indices: Iterable<number>, size = 3): Selection => ({
    hash: ID.SHA384,
    bitmap: pcrBitmap(indices, size),
  });
  it.each<readonly [string, Code, QuoteOverrides, Partial<UnverifiedQuote>, Partial<QuoteBinding>]>(
    [
      ['no public_key', 'quote.ak-not-bound', {}, {}, { publicKey: undefined }],
      ['an empty public_key', 'quote.ak-not-bound', {}, {}, { publicKey: new Uint8Array(0) }],
      ['another public_key', 'quote.ak-mismatch', {}, {}, { publicKey: other.point }],
      [
        'a compressed public_key',
        'quote.ak-mismatch',
        {},
        {},
        { publicKey: concatBytes(Uint8Array.of(2), ak.point.subarray(1, 33)) },
      ],
      [
        'public_key with something behind',
        'quote.ak-mismatch',
        {},
        {},
        { publicKey: concatBytes(ak.point, Uint8Array.of(0)) },
      ],
      ['another AK', 'quote.ak-mismatch', {}, { ak: other.point }, {}],
      [
        'AK off the curve, in both',
        'quote.ak-malformed',
        {},
        { ak: ak.point.with(64, (ak.point[64] as number) ^ 1) },
        { publicKey: ak.point.with(64, (ak.point[64] as number) ^ 1) },
      ],
      [
        'AK of zeros, in both',
        'quote.ak-malformed',
        {},
        { ak: concatBytes(Uint8Array.of(4), new Uint8Array(64)) },
        { publicKey: concatBytes(Uint8Array.of(4), new Uint8Array(64)) },
      ],
      [
        'TPMT_PUBLIC of another key',
        'quote.ak-mismatch',
        {},
        { akPublic: writeTpmtPublic(other) },
        {},
      ],
      [
        'TPMT_PUBLIC not fixed',
        'quote.ak-attributes',
        {},
        { akPublic: writeTpmtPublic(ak, { attributes: AK_ATTRIBUTES & ~ATTRIBUTE.fixedTPM }) },
        {},
      ],
      ['TPMT_PUBLIC broken', 'quote.ak-malformed', {}, { akPublic: new Uint8Array(3) }, {}],
      [
        'signed by another key',
        'quote.signature-invalid',
        { signWith: other.keys.privateKey },
        {},
        {},
      ],
      ['signed over SHA-384', 'quote.signature-invalid', { hash: 'SHA-384' }, {}, {}],
      [
        'signature of r = n',
        'quote.signature-invalid',
        { rawSignature: (s) => replaceHalf(s, 'r', ORDER['P-256']) },
        {},
        {},
      ],
      [
        'signature of r = 0',
        'quote.signature-malformed',
        { signature: () => Uint8Array.of(0x30, 6, 2, 1, 0, 2, 1, 1) },
        {},
        {},
      ],
      [
        'signature raw',
        'quote.signature-malformed',
        { signature: () => new Uint8Array(64).fill(1) },
        {},
        {},
      ],
      [
        'signature empty',
        'quote.signature-malformed',
        { signature: () => new Uint8Array(0) },
        {},
        {},
      ],
      [
        'signature with a byte behind',
        'quote.signature-malformed',
        { signature: (s) => concatBytes(s, Uint8Array.of(0)) },
        {},
        {},
      ],
      [
        'signature with a long length',
        'quote.signature-malformed',
        { signature: (s) => concatBytes(Uint8Array.of(0x30, 0x81), s.subarray(1)) },
        {},
        {},
      ],
      [
        'signature of P-384',
        'quote.signature-malformed',
        { signature: () => rawToDer(new Uint8Array(96).fill(0x7f)) },
        {},
        {},
      ],
      ['certify', 'quote.not-a-quote', { type: 0x8017 }, {}, {}],
      ['not made by a TPM', 'quote.not-tpm-generated', { magic: 0xff544348 }, {}, {}],
      [
        'trailing byte that is signed too',
        'quote.malformed',
        { attest: (a) => concatBytes(a, Uint8Array.of(0)) },
        {},
        {},
      ],
      ['cut off and signed', 'quote.malformed', { attest: (a) => a.subarray(0, -1) }, {}, {}],
      ['empty and signed', 'quote.malformed', { attest: () => new Uint8Array(0) }, {}, {}],
      ['another nonce', 'quote.nonce-mismatch', { nonce: NONCE.with(0, 1) }, {}, {}],
      [
        'nonce longer',
        'quote.nonce-mismatch',
        { nonce: concatBytes(NONCE, Uint8Array.of(0)) },
        {},
        {},
      ],
      ['nonce shorter', 'quote.nonce-mismatch', { nonce: NONCE.subarray(1) }, {}, {}],
      ['no nonce', 'quote.nonce-mismatch', { nonce: new Uint8Array(0) }, {}, {}],
      ['nonce where the document has none', 'quote.nonce-mismatch', {}, {}, { nonce: undefined }],
      [
        'SHA-256 bank',
        'quote.pcr-selection',
        { selections: [{ hash: ID.SHA256, bitmap: pcrBitmap(pcrs.keys()) }] },
        {},
        {},
      ],
      ['no selection', 'quote.pcr-selection', { selections: [] }, {}, {}],
      ['an empty selection', 'quote.pcr-selection', { selections: [sha384([])] }, {}, {}],
      [
        'one PCR left out',
        'quote.pcr-selection',
        { selections: [sha384([...pcrs.keys()].filter((i) => i !== 4))] },
        {},
        {},
      ],
      [
        'one PCR more',
        'quote.pcr-selection',
        { selections: [sha384([...pcrs.keys(), 24], 4)] },
        {},
        {},
      ],
      [
        'the bank twice',
        'quote.pcr-selection',
        { selections: [sha384(pcrs.keys()), sha384(pcrs.keys())] },
        {},
        {},
      ],
      [
        'the bank in two parts',
        'quote.pcr-selection',
        { selections: [sha384([0, 1]), sha384([...pcrs.keys()].slice(2))] },
        {},
        {},
      ],
      [
        'a second, empty bank',
        'quote.pcr-selection',
        { selections: [sha384(pcrs.keys()), { hash: ID.SHA256, bitmap: new Uint8Array(3) }] },
        {},
        {},
      ],
      ['digest of zeros', 'quote.pcr-digest-mismatch', { digest: new Uint8Array(32) }, {}, {}],
      ['digest of one byte', 'quote.pcr-digest-mismatch', { digest: new Uint8Array(1) }, {}, {}],
      [
        'digest of SHA-384 length',
        'quote.pcr-digest-mismatch',
        { digest: new Uint8Array(48) },
        {},
        {},
      ],
      [
        'other PCRs in the document',
        'quote.pcr-digest-mismatch',
        {},
        {},
        { pcrs: withPcrs(pcrs, { 4: new Uint8Array(48) }) },
      ],
    ],
  )('%s', async (_name, code, overrides, change, to) => {
    const quote = await mint(overrides, change);
    expectCode(() => verify(quote, to), code);
  });

  it('no quote at all', () => {
    expect((thrownBy(() => verify(undefined)) as { code: Code }).code).toBe('quote.missing');
  });

  it('takes the document\u2019s PCRs in ascending order, in whichever order they came', async () => {
    const reversed = new Map([...pcrs].reverse());
    const quote = verify(await mint(), { pcrs: reversed });
    expect(quote.quotedPcrs).toEqual([...pcrs.keys()]);
  });
});
