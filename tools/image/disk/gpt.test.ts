import fc from 'fast-check';
import { bytesSource, crc32 } from 'tee-verify/measure';
import { describe, expect, it } from 'vitest';
import { rejectionOf } from '../../../src/test-support/rejection.js';
import { ToolError } from '../../common/tool-error.js';
import { ARCHITECTURES, ESP_TYPE } from './architecture.js';
import { encodeGpt, type GptTable, READ_ONLY } from './gpt.js';
import { readGpt } from './read-gpt.js';
import { readRawImage } from './read-raw-image.js';

const MIB = 1024 * 1024;
const { types } = ARCHITECTURES.x86_64;
const uuid = (n: number): string => `0000000${n}-1111-2222-3333-444444444444`;
const TABLE: GptTable = {
  diskUuid: uuid(9),
  sizeBytes: 5 * MIB,
  partitions: [
    [ESP_TYPE, 'esp', 0n],
    [types.root, 'root', READ_ONLY],
    [types['root-verity'], 'root-verity', READ_ONLY],
  ].map(([type, label, attributes], i) => ({
    type: type as string,
    label: label as string,
    attributes: attributes as bigint,
    uuid: uuid(i),
    offsetBytes: (i + 1) * MIB,
    sizeBytes: MIB,
  })),
};

function disk(table: GptTable = TABLE): Uint8Array {
  const bytes = new Uint8Array(table.sizeBytes);
  const { head, tail } = encodeGpt(table);
  bytes.set(head);
  bytes.set(tail, bytes.length - tail.length);
  return bytes;
}

/** Makes the checksums right again after a change, so that the change itself is what is found. */
function mend(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer);
  bytes.copyWithin(bytes.length - 33 * 512, 1024, 1024 + 128 * 128);
  for (const at of [512, bytes.length - 512]) {
    view.setUint32(at + 88, crc32(bytes.subarray(1024, 1024 + 128 * 128)), true);
    view.setUint32(at + 16, 0, true);
    view.setUint32(at + 16, crc32(bytes.subarray(at, at + 92)), true);
  }
}

const ENTRY = (i: number): number => 1024 + 128 * i;
type Change = (view: DataView, bytes: Uint8Array) => void;
const both =
  (at: number, value: number): Change =>
  (view) => {
    view.setUint32(512 + at, value, true);
    view.setUint32(view.byteLength - 512 + at, value, true);
  };

const MALFORMED: Record<string, Change> = {
  'boot code in the MBR': (_, bytes) => bytes.set([0xeb], 0),
  'a second MBR partition': (view) => view.setUint8(446 + 16 + 4, 0x83),
  'an MBR that is not protective': (view) => view.setUint8(450, 0x83),
  'an MBR partition that begins elsewhere': (view) => view.setUint32(454, 2, true),
  'an MBR partition that is too short': (view) => view.setUint32(458, 100, true),
  'no end mark of the MBR': (view) => view.setUint16(510, 0, true),
  'another signature': (view) => view.setUint8(512, 0x45 ^ 1),
  'a wrong checksum': (view) => view.setUint32(528, 1, true),
  'a wrong checksum of the backup': (view) => view.setUint32(view.byteLength - 512 + 16, 1, true),
  'another disk in the backup': (view) => {
    const at = view.byteLength - 512;
    view.setUint8(at + 56, 0xee);
    view.setUint32(at + 16, 0, true);
    const header = new Uint8Array(view.buffer, at, 92);
    view.setUint32(at + 16, crc32(header), true);
  },
  'data behind the header': (view) => view.setUint8(512 + 100, 1),
  'another revision': both(8, 0x20000),
  'a larger header': both(12, 96),
  'a reserved field': both(20, 1),
  'another place of its own': (view) => view.setBigUint64(512 + 24, 2n, true),
  'a backup elsewhere': (view) => view.setBigUint64(512 + 32, 9000n, true),
  'entries elsewhere': (view) => view.setBigUint64(512 + 72, 3n, true),
  'a huge number of sectors': (view) => view.setBigUint64(512 + 48, 2n ** 63n, true),
  'more entries': both(80, 256),
  'larger entries': both(84, 256),
  'usable space over the table': both(40, 2),
  'usable space over the backup': (view) => {
    for (const at of [512, view.byteLength - 512])
      view.setBigUint64(at + 48, BigInt(view.byteLength / 512), true);
  },
  'a partition over the table': (view) => view.setBigUint64(ENTRY(0) + 32, 1n, true),
  'a partition beyond the end': (view) => view.setBigUint64(ENTRY(2) + 40, 10_300n, true),
  'a partition that ends before it begins': (view) => view.setBigUint64(ENTRY(0) + 40, 2047n, true),
  'a partition with a huge number': (view) =>
    view.setBigUint64(ENTRY(0) + 40, 2n ** 64n - 1n, true),
  'two partitions that overlap': (view) => view.setBigUint64(ENTRY(0) + 40, 4096n, true),
  'two partitions with one UUID': (_, bytes) =>
    bytes.copyWithin(ENTRY(1) + 16, ENTRY(0) + 16, ENTRY(0) + 32),
  'an empty entry with data': (view) => view.setUint8(ENTRY(7) + 60, 1),
  'an empty entry in between': (_, bytes) => {
    bytes.copyWithin(ENTRY(4), ENTRY(2), ENTRY(3));
    bytes.fill(0, ENTRY(2), ENTRY(3));
  },
  'a label with something behind its end': (view) => view.setUint16(ENTRY(0) + 56 + 20, 0x41, true),
};

describe('readGpt', () => {
  it('reads what encodeGpt writes', async () => {
    expect(await readGpt(bytesSource(disk()))).toEqual(TABLE);
  });

  it.each(Object.keys(MALFORMED))('refuses %s', async (name) => {
    const bytes = disk();
    MALFORMED[name]?.(new DataView(bytes.buffer), bytes);
    const isChecksum = /checksum|backup|behind the header/.test(name);
    if (!isChecksum) mend(bytes);
    if (name === 'usable space over the backup') mend(bytes);
    const error = await rejectionOf(readGpt(bytesSource(bytes)));
    expect(error).toBeInstanceOf(ToolError);
    expect(error).toMatchObject({ code: 'gpt.malformed' });
  });

  it('mends: an unchanged disk stays readable', async () => {
    const bytes = disk();
    mend(bytes);
    expect(await readGpt(bytesSource(bytes))).toEqual(TABLE);
  });

  it('refuses a primary table that differs from its backup', async () => {
    const bytes = disk();
    bytes[bytes.length - 33 * 512 + 60] = 7;
    expect(await rejectionOf(readGpt(bytesSource(bytes)))).toMatchObject({ code: 'gpt.malformed' });
  });

  it('refuses every length but its own', async () => {
    const bytes = disk();
    for (let length = 0; length < bytes.length; length += 16_384 + 512)
      expect(await rejectionOf(readGpt(bytesSource(bytes.subarray(0, length))))).toMatchObject({
        code: 'gpt.malformed',
      });
    expect(await rejectionOf(readGpt(bytesSource(new Uint8Array(6 * MIB))))).toMatchObject({
      code: 'gpt.malformed',
    });
  });

  it('gives its code for any change of any byte that it reads', async () => {
    const original = disk();
    const tail = original.length - 33 * 512;
    const place = fc.oneof(
      fc.integer({ min: 0, max: 34 * 512 - 1 }),
      fc.integer({ min: tail, max: original.length - 1 }),
    );
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        // Cylinders and heads of the protective partition say nothing.
        fc.pre(!(at >= 447 && at < 450) && !(at >= 451 && at < 454));
        const bytes = original.slice();
        bytes[at] = (bytes[at] as number) ^ mask;
        const error = await rejectionOf(readGpt(bytesSource(bytes)));
        expect(error).toMatchObject({ code: 'gpt.malformed' });
      }),
      { numRuns: 300 },
    );
  });

  it('reads any table that encodeGpt writes', async () => {
    const partition = fc.record({
      label: fc.stringMatching(/^[ -~]{0,36}$/),
      type: fc.uuid(),
      uuid: fc.uuid(),
      attributes: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    });
    const list = fc.uniqueArray(partition, { maxLength: 4, selector: ({ uuid: id }) => id });
    await fc.assert(
      fc.asyncProperty(list, fc.uuid(), async (entries, diskUuid) => {
        const partitions = entries.map((entry, i) => ({
          ...entry,
          offsetBytes: (i + 1) * 65_536,
          sizeBytes: 65_536 - 512 * i,
        }));
        const table = { diskUuid, sizeBytes: MIB, partitions };
        expect(await readGpt(bytesSource(disk(table)))).toEqual(table);
      }),
    );
  });
});

describe('readRawImage', () => {
  const partition = (index: number, change: object): GptTable => ({
    ...TABLE,
    partitions: TABLE.partitions.map((one, i) => (i === index ? { ...one, ...change } : one)),
  });

  it('finds the parts by their types', async () => {
    const image = await readRawImage(bytesSource(disk()));
    expect(image).toMatchObject({ architecture: 'x86_64', mount: 'root' });
    expect([image.esp.label, image.data.label, image.hashes.label]).toEqual([
      ...['esp', 'root', 'root-verity'],
    ]);
    expect(image.hashes.source.size).toBe(MIB);
  });

  it.each([
    ['a partition of another type', partition(1, { type: uuid(7) })],
    [
      'hashes for another architecture',
      partition(2, { type: ARCHITECTURES.aarch64.types['root-verity'] }),
    ],
    ['hashes of usr for root', partition(2, { type: types['usr-verity'] })],
    ['two EFI system partitions', partition(1, { type: ESP_TYPE })],
    ['an attribute that hides it', partition(1, { attributes: 1n << 62n })],
    ['no partitions', { ...TABLE, partitions: [] }],
    [
      'one more partition',
      {
        ...TABLE,
        sizeBytes: 6 * MIB,
        partitions: [
          ...TABLE.partitions,
          { ...TABLE.partitions[1], uuid: uuid(5), type: uuid(6), offsetBytes: 4 * MIB },
        ],
      } as GptTable,
    ],
  ])('refuses %s', async (_, table) => {
    const error = await rejectionOf(readRawImage(bytesSource(disk(table))));
    expect(error).toMatchObject({ code: 'gpt.partitions' });
  });
});
