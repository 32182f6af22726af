import { createHash } from 'node:crypto';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asciiBytes, concatBytes } from '../bytes/bytes.js';
import { decodeHex } from '../bytes/hex.js';
import { AttestationError } from '../result/attestation-error.js';
import type { MeasurementCode } from '../result/measurement-codes.js';
import { type ByteSource, bytesSource } from './byte-source.js';
import { combineCrc32, crc32 } from './crc32.js';
import { inspectEif, measureEif } from './measure-eif.js';
import { type EifPlan, makeEif, type SectionPlan, SMALL } from './test-support/make-eif.js';

const sha384 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha384');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const pcr = (...parts: readonly Uint8Array[]): string =>
  sha384(new Uint8Array(48), sha384(...parts)).toString('hex');
const text = (value: string): Uint8Array => asciiBytes(value);

/** The code that measuring gives, or `ok`. */
async function codeOf(bytes: Uint8Array): Promise<string> {
  try {
    await measureEif(bytesSource(bytes));
    return 'ok';
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
}

/** Written by hand after the specification: kernel `K`, cmdline `c`, metadata `{}`, ramdisk `r`. */
const BY_HAND = [
  '2e656966 0004 0001 0000000040000000 0000000000000002 0000 0004',
  '0000000000000224 0000000000000231 000000000000023e 000000000000024c',
  '00'.repeat(28 * 8),
  '0000000000000001 0000000000000001 0000000000000002 0000000000000001',
  '00'.repeat(28 * 8),
  '00000000 21e4653f',
  '0001 0000 0000000000000001 4b',
  '0002 0000 0000000000000001 63',
  '0005 0000 0000000000000002 7b7d',
  '0003 0000 0000000000000001 72',
].join('');

describe('measureEif', () => {
  it('reads a file written by hand, byte for byte as the specification says', async () => {
    const bytes = decodeHex(BY_HAND.replace(/\s/g, '')) as Uint8Array;
    expect(bytes).toHaveLength(548 + 4 * 12 + 5);
    const measured = await measureEif(bytesSource(bytes));
    expect(measured).toMatchObject({
      version: 4,
      architecture: 'aarch64',
      defaultMemoryBytes: 1_073_741_824,
      defaultCpus: 2,
      sizeBytes: 601,
      statedCrc32: 0x21e4653f,
      computedCrc32: 0x21e4653f,
      commandLine: 'c',
      metadata: {},
      signature: undefined,
      sections: [
        { type: 'kernel', dataOffset: 560, sizeBytes: 1 },
        { type: 'cmdline', dataOffset: 573, sizeBytes: 1 },
        { type: 'metadata', dataOffset: 586, sizeBytes: 2 },
        { type: 'ramdisk', dataOffset: 600, sizeBytes: 1 },
      ],
    });
    expect(Object.fromEntries(measured.pcrs)).toEqual({
      0: pcr(text('Kcr')),
      1: pcr(text('Kcr')),
      // The well-known PCR2 of images with one ramdisk: SHA-384(48 zero bytes || SHA-384("")).
      2: '21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a',
    });
  });

  it('measures kernel, command line and ramdisks as the specification says', async () => {
    const { pcrs } = await measureEif(bytesSource(makeEif()));
    const [kernel, cmdline, one, two] = ['kernel', 'reboot=k', 'ramdisk one', 'ramdisk two'].map(
      text,
    ) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    expect([...pcrs]).toEqual([
      [0, pcr(kernel, cmdline, one, two)],
      [1, pcr(kernel, cmdline, one)],
      [2, pcr(two)],
    ]);
  });

  it('measures in the order of the specification, wherever the command line stands', async () => {
    const moved = [0, 3, 4, 2, 1].map((i) => SMALL[i] as SectionPlan);
    const { pcrs } = await measureEif(bytesSource(makeEif(moved)));
    expect(pcrs).toEqual((await measureEif(bytesSource(makeEif()))).pcrs);
  });

  it('is the same by parts that come late as by bytes at once', async () => {
    const bytes = makeEif([...SMALL, [3, new Uint8Array(3_000_000).fill(7)]]);
    const late: ByteSource = {
      size: bytes.length,
      read: async (offset, length) => bytes.slice(offset, offset + length),
    };
    expect(await measureEif(late)).toEqual(await measureEif(bytesSource(bytes)));
  });

  const tables: readonly [string, MeasurementCode, EifPlan][] = [
    ['no magic', 'eif.not-eif', { magic: '.elf' }],
    ['version 3', 'eif.version-unsupported', { version: 3 }],
    ['version 5', 'eif.version-unsupported', { version: 5 }],
    ['unknown flags', 'eif.header-invalid', { flags: 2 }],
    ['memory of 2^53', 'eif.header-invalid', { defaultMemory: 2n ** 53n }],
    ['one section', 'eif.section-count', { count: 1 }],
    ['33 sections', 'eif.section-count', { count: 33 }],
    ['65535 sections', 'eif.section-count', { count: 65_535 }],
    ['fewer sections than there are', 'eif.header-invalid', { count: 4 }],
    ['more sections than there are', 'eif.section-overlap', { count: 6 }],
    ['a hidden offset', 'eif.header-invalid', { table: (offsets) => offsets.fill(9n, 31) }],
    ['a hidden size', 'eif.header-invalid', { table: (_, sizes) => sizes.fill(9n, 31) }],
    ['an offset into the header', 'eif.section-overlap', { table: (o) => o.fill(547n, 0, 1) }],
    ['overlapping sections', 'eif.section-overlap', { table: (o) => o.fill(549n, 1, 2) }],
    ['the same section twice', 'eif.section-overlap', { table: (o) => o.fill(548n, 1, 2) }],
    ['an offset that leaves a gap', 'eif.section-gap', { table: (o) => o.fill(549n, 0, 1) }],
    ['an offset past the end', 'eif.section-gap', { table: (o) => o.fill(2n ** 40n, 1, 2) }],
    ['an offset of 2^63', 'eif.header-invalid', { table: (o) => o.fill(2n ** 63n, 1, 2) }],
    ['a size only in the table', 'eif.section-size', { table: (_, s) => s.fill(7n, 0, 1) }],
    ['a size of 2^63', 'eif.header-invalid', { table: (_, s) => s.fill(2n ** 63n, 0, 1) }],
    ['a size only in the section', 'eif.section-size', { headerSize: (size) => size + 1n }],
    ['a size of 2^64 - 1', 'eif.header-invalid', { headerSize: () => 2n ** 64n - 1n }],
    ['section flags', 'eif.section-type', { sectionFlags: 1 }],
    ['bytes at the end', 'eif.section-gap', { trailing: new Uint8Array(1) }],
    ['a wrong CRC', 'eif.crc-mismatch', { crc: 1 }],
  ];
  it.each(tables)('refuses %s: %s', async (_name, code, plan) => {
    expect(await codeOf(makeEif(SMALL, plan))).toBe(code);
  });

  it('refuses a size past the end of the file, said twice', async () => {
    const plan: EifPlan = { table: (_, s) => s.fill(10_000n, 0, 1), headerSize: () => 10_000n };
    expect(await codeOf(makeEif(SMALL, plan))).toBe('eif.truncated');
  });

  const [kernel, cmdline, metadata, ramdisk] = SMALL as [
    ...[SectionPlan, SectionPlan, SectionPlan, SectionPlan],
  ];
  it.each<readonly [string, MeasurementCode, readonly SectionPlan[]]>([
    ['no kernel', 'eif.section-missing', [cmdline, metadata]],
    ['no command line', 'eif.section-missing', [kernel, metadata, ramdisk]],
    ['no metadata', 'eif.section-missing', [kernel, cmdline, ramdisk]],
    ['two kernels', 'eif.section-duplicate', [kernel, ...SMALL]],
    ['two command lines', 'eif.section-duplicate', [...SMALL, cmdline]],
    ['two metadata', 'eif.section-duplicate', [...SMALL, metadata]],
    ['two signatures', 'eif.section-duplicate', [...SMALL, [4, text('')], [4, text('')]]],
    ['a ramdisk before the kernel', 'eif.section-order', [ramdisk, kernel, cmdline, metadata]],
    ['type 0', 'eif.section-type', [...SMALL, [0, text('')]]],
    ['type 6', 'eif.section-type', [...SMALL, [6, text('')]]],
    ['metadata that is no JSON', 'eif.metadata-malformed', [kernel, cmdline, [5, text('{')]]],
    ['metadata that is an array', 'eif.metadata-malformed', [kernel, cmdline, [5, text('[]')]]],
    ['metadata null', 'eif.metadata-malformed', [kernel, cmdline, [5, text('null')]]],
    [
      'metadata 100000 levels deep',
      'eif.metadata-malformed',
      [kernel, cmdline, [5, text(`{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`)]],
    ],
    [
      'metadata that is not UTF-8',
      'eif.metadata-malformed',
      [kernel, cmdline, [5, Uint8Array.of(0x22, 0xff, 0x22)]],
    ],
    [
      'a command line of 64 KiB and one byte',
      'eif.limit-exceeded',
      [kernel, [2, new Uint8Array(65_537)], metadata],
    ],
    ['an empty signature', 'eif.signature-malformed', [...SMALL, [4, text('')]]],
  ])('refuses %s: %s', async (_name, code, sections) => {
    expect(await codeOf(makeEif(sections))).toBe(code);
  });

  it('gives a code at every truncation, and never measures a changed byte as the same file', async () => {
    const bytes = makeEif();
    for (let length = 0; length < bytes.length; length++)
      expect(await codeOf(bytes.subarray(0, length))).toMatch(/^eif\./);
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] as number) ^ 0x10;
      expect(await codeOf(changed), `byte ${at}`).toMatch(/^eif\./);
    }
  });

  it('gives codes for random bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 700 }), async (noise) => {
        expect(await codeOf(concatBytes(text('.eif\0\u0004\0\0'), noise))).toMatch(/^eif\./);
        expect(await codeOf(noise)).toMatch(/^eif\./);
      }),
    );
  });

  it('says everything that is wrong at once when asked to inspect', async () => {
    const sections = [kernel, cmdline, [5, text('{')], [4, text('x')]] as const;
    const { problems, pcrs } = await inspectEif(bytesSource(makeEif(sections, { crc: 0 })));
    expect(problems.map(({ code }) => code)).toEqual([
      ...['eif.crc-mismatch', 'eif.signature-malformed', 'eif.metadata-malformed'],
    ]);
    expect(pcrs.has(8)).toBe(false);
  });

  it('escapes what the command line would do to a terminal', async () => {
    const evil: SectionPlan = [2, text('a\u001b[2Jb')];
    const { commandLine } = await measureEif(bytesSource(makeEif([kernel, evil, metadata])));
    expect(commandLine).toBe('a\\u001b[2Jb');
  });
});

describe('crc32', () => {
  it('gives the check value of CRC-32/ISO-HDLC', () => {
    expect(crc32(text('123456789'))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array())).toBe(0);
  });

  it('goes on, combines, and equals zlib', () => {
    const { crc32: native } = zlib as unknown as { crc32?: typeof crc32 };
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array({ maxLength: 300 }), (a, b) => {
        const whole = crc32(concatBytes(a, b));
        expect(crc32(b, crc32(a))).toBe(whole);
        expect(combineCrc32(crc32(a), crc32(b), b.length)).toBe(whole);
        // Node's own forgets the value so far when it gets nothing.
        if (native !== undefined && b.length > 0) expect(native(b, crc32(a))).toBe(whole);
      }),
    );
    const long = new Uint8Array(5_000_000).fill(3);
    expect(combineCrc32(0x12345678, crc32(long), long.length)).toBe(crc32(long, 0x12345678));
  });
});
