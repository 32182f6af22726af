import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { decodeBase64, encodeBase64 } from 'tee-verify/bytes';
import { formatGuid } from 'tee-verify/measure';
import { describe, expect, it } from 'vitest';
import { ToolError } from '../../common/tool-error.js';
import { crc32c } from './crc32c.js';
import { decodeUefiData, encodeUefiData, type StoredVariable } from './uefi-variable-store.js';

const VECTORS = fileURLToPath(new URL('../../../../shared/vectors/uefivars/', import.meta.url));
const haveVectors = existsSync(VECTORS);
if (!haveVectors) {
  const message = `SKIPPED: stores of EC2; no ${VECTORS}`;
  if (process.env.CI) throw new Error(message);
  console.warn(message);
}

const GUID = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const PLAIN: StoredVariable = { name: 'Lang', guid: GUID, attributes: 7, data: Uint8Array.of(1) };

/** A store with this stream, its checksum right. */
function store(stream: Uint8Array, version = 0): string {
  const body = Buffer.alloc(4 + stream.length);
  body.writeUInt32LE(version, 0);
  body.set(stream, 4);
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32c(body), 0);
  return Buffer.concat([Buffer.from('AMZNUEFI'), sum, body]).toString('base64');
}

const u64 = (value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const sized = (bytes: string | Uint8Array): Buffer =>
  Buffer.concat([u64(Buffer.from(bytes as string).length), Buffer.from(bytes as string)]);
const attributes = (bits: number): Buffer => Buffer.from(Uint32Array.of(bits).buffer);
const variables = (...parts: readonly Uint8Array[]): string =>
  store(deflateSync(Buffer.concat(parts)));
const guid = Buffer.alloc(16);

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof ToolError) return error.code;
    throw error;
  }
}

describe('crc32c', () => {
  it('gives the check values of RFC 3720, B.4', () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  });
});

describe('UEFI variable store', () => {
  it('writes what the format says, byte for byte', () => {
    const variable: StoredVariable = {
      name: 'PK',
      guid: GUID,
      attributes: 0x27,
      data: Uint8Array.of(9, 8),
    };
    const bytes = Buffer.from(encodeUefiData([variable]), 'base64');
    expect(bytes.subarray(0, 8).toString()).toBe('AMZNUEFI');
    expect(bytes.readUInt32LE(12)).toBe(0);
    expect(bytes.readUInt8(17) & 0x20).toBe(0); // no preset dictionary
    const same = variables(
      ...[u64(1), sized('PK'), sized(Uint8Array.of(9, 8))],
      ...[Buffer.from('61dfe48bca93d211aa0d00e098032b8c', 'hex'), attributes(0x27)],
      ...[Buffer.alloc(16), sized(Buffer.alloc(32))],
    );
    const read = decodeUefiData(same);
    expect(read).toEqual(decodeUefiData(bytes.toString('base64')));
    expect(read).toEqual([
      { ...variable, timestamp: new Uint8Array(16), digest: new Uint8Array(32) },
    ]);
  });

  it('writes the same text for the same variables', () => {
    expect(encodeUefiData([PLAIN])).toBe(encodeUefiData([{ ...PLAIN }]));
  });

  const malformed: readonly [string, string, string][] = [
    ['nothing', '', 'uefi-data.malformed'],
    ['no base64', 'AMZN*', 'uefi-data.malformed'],
    ['too short', encodeBase64(Buffer.from('AMZNUEFI1234')), 'uefi-data.malformed'],
    ['other magic', store(deflateSync(u64(0))).replace('QU', 'QV'), 'uefi-data.malformed'],
    ['another version', store(deflateSync(u64(0)), 1), 'uefi-data.version'],
    ['text before it', ` ${store(deflateSync(u64(0)))}`, 'uefi-data.malformed'],
    ['too long', 'A'.repeat(64_004), 'uefi-data.limit-exceeded'],
    ['no zlib stream', store(Buffer.from('hello')), 'uefi-data.malformed'],
    ['an empty stream', store(Buffer.alloc(0)), 'uefi-data.malformed'],
    ['a cut stream', store(deflateSync(Buffer.alloc(99)).subarray(0, -5)), 'uefi-data.malformed'],
    [
      'a wrong Adler-32',
      store(Buffer.concat([deflateSync(u64(0)).subarray(0, -1), Buffer.of(0x77)])),
      'uefi-data.malformed',
    ],
    [
      'bytes behind the stream',
      store(Buffer.concat([deflateSync(u64(0)), Buffer.of(0)])),
      'uefi-data.malformed',
    ],
    ['a bomb', store(deflateSync(Buffer.alloc(2_000_000))), 'uefi-data.limit-exceeded'],
    [
      'a preset dictionary',
      store(deflateSync(u64(0), { dictionary: Buffer.from('boot') })),
      'uefi-data.dictionary-needed',
    ],
    ['no count', variables(Buffer.alloc(7)), 'uefi-data.malformed'],
    ['too many', variables(u64(1025)), 'uefi-data.limit-exceeded'],
    ['a huge count', variables(u64(2n ** 64n - 1n)), 'uefi-data.limit-exceeded'],
    ['fewer than counted', variables(u64(1)), 'uefi-data.malformed'],
    [
      'more than counted',
      variables(u64(0), sized('A'), sized(''), guid, attributes(7)),
      'uefi-data.malformed',
    ],
    [
      'no name',
      variables(u64(1), sized(''), sized(''), guid, attributes(7)),
      'uefi-data.malformed',
    ],
    [
      'a name that is no UTF-8',
      variables(u64(1), sized(Buffer.of(0xff)), sized(''), guid, attributes(7)),
      'uefi-data.malformed',
    ],
    ['a huge name', variables(u64(1), u64(2n ** 63n)), 'uefi-data.malformed'],
    [
      'a short digest',
      variables(
        u64(1),
        sized('A'),
        sized(''),
        guid,
        attributes(0x27),
        Buffer.alloc(16),
        sized('x'),
      ),
      'uefi-data.malformed',
    ],
    [
      'no digest',
      variables(u64(1), sized('A'), sized(''), guid, attributes(0x27), Buffer.alloc(16)),
      'uefi-data.malformed',
    ],
  ];
  it.each(malformed)('refuses %s', (_, text, code) => {
    expect(codeOf(() => decodeUefiData(text))).toBe(code);
  });

  it('refuses a flipped bit anywhere behind the magic, by the checksum', () => {
    const bytes = Buffer.from(encodeUefiData([PLAIN]), 'base64');
    for (let at = 8; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
      expect(codeOf(() => decodeUefiData(encodeBase64(flipped)))).toBe('uefi-data.checksum');
    }
  });

  it('refuses a text cut anywhere', () => {
    const bytes = decodeBase64(encodeUefiData([PLAIN])) as Uint8Array;
    for (let end = 0; end < bytes.length; end++)
      expect(codeOf(() => decodeUefiData(encodeBase64(bytes.subarray(0, end))))).toMatch(
        /^uefi-data\./,
      );
  });

  it('refuses to write what it could not read', () => {
    const write = (change: Partial<StoredVariable>) => () =>
      encodeUefiData([{ ...PLAIN, ...change }]);
    expect(codeOf(write({ name: '' }))).toBe('uefi-data.malformed');
    expect(codeOf(write({ name: '\ud800' }))).toBe('uefi-data.malformed');
    expect(codeOf(write({ timestamp: new Uint8Array(16) }))).toBe('uefi-data.malformed');
    expect(codeOf(write({ attributes: 0x27, digest: new Uint8Array(31) }))).toBe(
      'uefi-data.malformed',
    );
    const noise = Uint8Array.from({ length: 60_000 }, (_, i) => (i * i * 2654435761) >>> 13);
    expect(codeOf(write({ data: noise }))).toBe('uefi-data.limit-exceeded');
  });

  const stored: fc.Arbitrary<StoredVariable> = fc
    .record({
      name: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
      guid: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(formatGuid),
      attributes: fc.nat(0xff),
      data: fc.uint8Array({ maxLength: 200 }),
      timestamp: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      digest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    })
    .map(({ timestamp, digest, ...plain }) =>
      (plain.attributes & 0x20) === 0 ? plain : { ...plain, timestamp, digest },
    );

  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(fc.array(stored, { maxLength: 8 }), (list) => {
        expect(decodeUefiData(`${encodeUefiData(list)}\n`)).toEqual(list);
      }),
    );
  });

  it('meets any variables with an error of its own or reads them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        const code = codeOf(() => decodeUefiData(variables(bytes)));
        expect(code ?? 'uefi-data.').toMatch(/^uefi-data\./);
      }),
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        expect(codeOf(() => decodeUefiData(text)) ?? 'uefi-data.').toMatch(/^uefi-data\./);
      }),
    );
  });

  it('reads a stream with a preset dictionary when it is given', () => {
    const dictionary = Buffer.from('SecureBoot and what EC2 knows');
    const text = store(
      deflateSync(Buffer.concat([u64(1), sized('SecureBoot'), sized('x'), guid, attributes(7)]), {
        dictionary,
      }),
    );
    expect(decodeUefiData(text, { dictionary })[0]?.name).toBe('SecureBoot');
    expect(codeOf(() => decodeUefiData(text, { dictionary: Buffer.from('other') }))).toBe(
      'uefi-data.malformed',
    );
  });

  it.skipIf(!haveVectors)(
    "knows EC2's own store: header and checksum right, dictionary needed",
    () => {
      const text = readFileSync(`${VECTORS}t02.aws`, 'utf8');
      expect(codeOf(() => decodeUefiData(text))).toBe('uefi-data.dictionary-needed');
      const bytes = Buffer.from(text, 'base64');
      bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
      expect(codeOf(() => decodeUefiData(encodeBase64(bytes)))).toBe('uefi-data.checksum');
    },
  );

  it.skipIf(!haveVectors)("writes and reads the variables of EC2's store", () => {
    const { variables: list } = JSON.parse(readFileSync(`${VECTORS}t02.json`, 'utf8')) as {
      variables: { name: string; guid: string; attr: number; data: string }[];
    };
    const given = list.map(({ name, guid: vendor, attr, data }) => ({
      name,
      guid: vendor,
      attributes: attr,
      data: new Uint8Array(Buffer.from(data, 'hex')),
    }));
    const text = encodeUefiData(given);
    expect(decodeUefiData(text)).toMatchObject(given);
  });
});
