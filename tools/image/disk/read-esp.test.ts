import fc from 'fast-check';
import { asciiBytes } from 'tee-verify/bytes';
import { bytesSource } from 'tee-verify/measure';
import { describe, expect, it } from 'vitest';
import { rejectionOf } from '../../../src/test-support/rejection.js';
import { ToolError } from '../../common/tool-error.js';
import { readEsp } from './read-esp.js';

/** Leaves room behind the last entry of the FAT. */
const CLUSTERS = 65_600;
const FAT_SECTORS = Math.ceil(((CLUSTERS + 2) * 4) / 512);
const FAT = 32 * 512;
const DATA = FAT + 2 * FAT_SECTORS * 512;
const SIZE = DATA + CLUSTERS * 512;
const END = 0x0fffffff;
const FILE_BYTES = 1300;
const CLUSTER = (n: number): number => DATA + (n - 2) * 512;
/** Where the entry of the file stands: behind dot and dot dot. */
const FILE_ENTRY = CLUSTER(4) + 64;

function entry(name: string, attributes: number, cluster: number, size = 0): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  bytes.set(asciiBytes(name.padEnd(11)));
  bytes[11] = attributes;
  view.setUint16(20, cluster >>> 16, true);
  view.setUint16(26, cluster & 0xffff, true);
  view.setUint32(28, size, true);
  return bytes;
}

/** The root (cluster 2), EFI (3), BOOT (4), the file (5, 6, 7). */
function fat32(): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(11, 512, true);
  view.setUint8(13, 1);
  view.setUint16(14, 32, true);
  view.setUint8(16, 2);
  view.setUint32(32, SIZE / 512, true);
  view.setUint32(36, FAT_SECTORS, true);
  view.setUint32(44, 2, true);
  view.setUint32(67, 0xabcd, true);
  view.setUint16(510, 0xaa55, true);
  for (const copy of [FAT, FAT + FAT_SECTORS * 512])
    for (const [i, next] of [0x0ffffff8, END, END, END, END, 6, 7, END].entries())
      view.setUint32(copy + 4 * i, next, true);
  bytes.set(entry('ESP', 0x08, 0), CLUSTER(2));
  bytes.set(entry('EFI', 0x10, 3), CLUSTER(2) + 32);
  for (const [cluster, parent, name, below] of [
    [3, 0, 'BOOT', 4],
    [4, 3, 'BOOTX64 EFI', 5],
  ] as const) {
    bytes.set(entry('.', 0x10, cluster), CLUSTER(cluster));
    bytes.set(entry('..', 0x10, parent), CLUSTER(cluster) + 32);
    const isFile = below === 5;
    const one = entry(name, isFile ? 0x20 : 0x10, below, isFile ? FILE_BYTES : 0);
    bytes.set(one, CLUSTER(cluster) + 64);
  }
  bytes.fill(0x5a, CLUSTER(5), CLUSTER(5) + FILE_BYTES);
  return bytes;
}

type Change = (view: DataView, bytes: Uint8Array) => void;
const fat =
  (cluster: number, value: number): Change =>
  (view) => {
    view.setUint32(FAT + 4 * cluster, value, true);
    view.setUint32(FAT + FAT_SECTORS * 512 + 4 * cluster, value, true);
  };
const longName = (text: string, checksum: number, order = 0x41): Uint8Array => {
  const bytes = new Uint8Array(32).fill(0xff);
  const view = new DataView(bytes.buffer);
  bytes.set([order]);
  bytes.set([0x0f, 0, checksum], 11);
  view.setUint16(26, 0, true);
  const places = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
  for (const [i, place] of places.entries())
    if (i <= text.length) view.setUint16(place, i < text.length ? text.charCodeAt(i) : 0, true);
  return bytes;
};

const checksum = (name: Uint8Array): number =>
  name.reduce((sum, byte) => (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff, 0);
const FS_INFO = new Uint8Array(512);
FS_INFO.set(asciiBytes('RRaA'));
FS_INFO.set(asciiBytes('rrAa'), 484);
FS_INFO.set([0x10, 0xff, 0, 0, 5, 0, 0, 0], 488);
FS_INFO.set([0x55, 0xaa], 510);

const MALFORMED: Record<string, Change> = {
  'no end mark': (view) => view.setUint16(510, 0, true),
  'sectors of 4096 bytes': (view) => view.setUint16(11, 4096, true),
  'clusters of 3 sectors': (view) => view.setUint8(13, 3),
  'no FAT': (view) => view.setUint8(16, 0),
  'nothing reserved': (view) => view.setUint16(14, 0, true),
  FAT16: (view) => view.setUint16(22, 100, true),
  'a root of FAT16': (view) => view.setUint16(17, 512, true),
  'a FAT that is not mirrored': (view) => view.setUint16(40, 0x80, true),
  'more sectors than there are': (view) => view.setUint32(32, SIZE / 512 + 1, true),
  'a huge FAT': (view) => view.setUint32(36, 0xffffffff, true),
  'a FAT without sectors': (view) => view.setUint32(36, 0, true),
  'a FAT too small for the clusters': (view) => view.setUint32(36, 16, true),
  'fewer clusters than FAT32 has': (view) => view.setUint32(32, DATA / 512 + 65_000, true),
  'a root outside': (view) => view.setUint32(44, CLUSTERS + 2, true),
  'a root in cluster 0': (view) => view.setUint32(44, 0, true),
  'FATs that differ': (view) => view.setUint32(FAT + 4 * 100, 7, true),
  'a chain that ends early': fat(6, END),
  'a chain that goes on': (view, bytes) => {
    fat(7, 8)(view, bytes);
    fat(8, END)(view, bytes);
  },
  'a chain in a circle': fat(7, 5),
  'a chain through a free cluster': fat(6, 0),
  'a chain that leaves': fat(6, 0x0ffffff0),
  'data without a file': fat(500, END),
  'a folder that holds itself': (view) => view.setUint16(CLUSTER(3) + 64 + 26, 3, true),
  'a file without its cluster': (view) => view.setUint16(FILE_ENTRY + 26, 0, true),
  'a file with another size': (view) => view.setUint32(FILE_ENTRY + 28, 0xffffffff, true),
  'an empty file with a cluster': (view) => view.setUint32(FILE_ENTRY + 28, 0, true),
  'a folder with a size': (view) => view.setUint32(CLUSTER(2) + 32 + 28, 9, true),
  'a second file behind the end': (_, bytes) =>
    bytes.set(entry('OTHER   EFI', 0x20, 0), FILE_ENTRY + 64),
  'two names that are one': (_, bytes) => bytes.set(entry('BOOTX64 EFI', 0x20, 0), FILE_ENTRY + 32),
  'an odd short name': (view) => view.setUint8(FILE_ENTRY, 0x05),
  'a short name in lower case': (view) => view.setUint8(FILE_ENTRY, 0x62),
  'a label that is not in the root': (view) => view.setUint8(FILE_ENTRY + 11, 0x08),
  'a dot that is a file': (_, bytes) => bytes.set(entry('.', 0x20, 0), FILE_ENTRY + 32),
  'a long name without a file': (_, bytes) => bytes.set(longName('x', 0), FILE_ENTRY + 32),
  'a long name of another file': (_, bytes) => {
    bytes.copyWithin(FILE_ENTRY + 32, FILE_ENTRY, FILE_ENTRY + 32);
    bytes.set(longName('shim.efi', 1), FILE_ENTRY);
  },
  'a partition table in the boot sector': (view) => view.setUint8(446 + 4, 0xee),
  'a partition table in the reserved sectors': (_, bytes) => bytes.set(asciiBytes('EFI PART'), 512),
  'another boot sector among the reserved ones': (_, bytes) => {
    bytes.copyWithin(6 * 512, 0, 512);
    bytes[6 * 512 + 14] = 64;
  },
  'an FSInfo with something in it': (_, bytes) => {
    bytes.set(FS_INFO, 512);
    bytes[512 + 100] = 1;
  },
  'data behind the last entry of the FAT': (view) => {
    for (const copy of [FAT, FAT + FAT_SECTORS * 512]) view.setUint8(copy + 4 * (CLUSTERS + 2), 1);
  },
  'data behind the file system': (view, bytes) => {
    view.setUint32(32, SIZE / 512 - 1, true);
    bytes[SIZE - 1] = 1;
  },
  'a second label': (_, bytes) => bytes.set(entry('ESP2', 0x08, 0), CLUSTER(2) + 64),
  'a label that could be a folder': (view) => view.setUint8(CLUSTER(2) + 11, 0x18),
  'a label with contents': (view) => view.setUint16(CLUSTER(2) + 26, 4, true),
  'a deleted entry inside of a long name': (_, bytes) => {
    bytes.copyWithin(FILE_ENTRY + 64, FILE_ENTRY, FILE_ENTRY + 32);
    bytes.set(
      longName('BOOTX64.EFI', checksum(bytes.subarray(FILE_ENTRY, FILE_ENTRY + 11))),
      FILE_ENTRY,
    );
    bytes.set(entry('OTHER   EFI', 0x20, 0), FILE_ENTRY + 32);
    bytes[FILE_ENTRY + 32] = 0xe5;
  },
  'the second part of a long name only': (_, bytes) => {
    bytes.copyWithin(FILE_ENTRY + 32, FILE_ENTRY, FILE_ENTRY + 32);
    bytes.set(longName('shim.efi', 1, 0x42), FILE_ENTRY);
  },
};

describe('readEsp', () => {
  it('lists files with their bytes', async () => {
    const bytes = new Uint8Array(SIZE + 1024);
    bytes.set(fat32(), 512);
    const esp = await readEsp(bytesSource(bytes), 512, SIZE);
    expect(esp).toMatchObject({ volumeId: '0000abcd', folders: ['EFI', 'EFI/BOOT'] });
    const [file] = esp.files;
    expect(esp.files).toHaveLength(1);
    expect(file?.path).toBe('EFI/BOOT/BOOTX64.EFI');
    const read = new Uint8Array((await file?.source.read(0, 99_999)) ?? []);
    expect(Buffer.from(read)).toEqual(Buffer.alloc(FILE_BYTES, 0x5a));
    expect(file?.offsetOf(600)).toBe(CLUSTER(6) + 88);
    expect(file?.offsetOf(99_999)).toBeNaN();
  });

  it('takes the sectors that mkfs.vfat reserves, while the file system is mounted', async () => {
    const bytes = fat32();
    bytes.copyWithin(6 * 512, 0, 512);
    bytes[65] = 1;
    for (const sector of [1, 7]) bytes.set(FS_INFO, sector * 512);
    expect((await readEsp(bytesSource(bytes), 0, SIZE)).files).toHaveLength(1);
  });

  it('shows hidden, deleted and long names as firmware sees them', async () => {
    const bytes = fat32();
    bytes.copyWithin(FILE_ENTRY + 64, FILE_ENTRY, FILE_ENTRY + 32);
    const short = bytes.subarray(FILE_ENTRY, FILE_ENTRY + 11);
    bytes.set(longName('Boot-x64.efi', checksum(short)), FILE_ENTRY + 32);
    bytes[FILE_ENTRY] = 0xe5;
    bytes.set(entry('HIDDEN  EFI', 0x26, 0), FILE_ENTRY + 96);
    const esp = await readEsp(bytesSource(bytes), 0, SIZE);
    expect(esp.files.map(({ path }) => path)).toEqual([
      ...['EFI/BOOT/Boot-x64.efi', 'EFI/BOOT/HIDDEN.EFI'],
    ]);
  });

  it.each(Object.keys(MALFORMED))('refuses %s', async (name) => {
    const bytes = fat32();
    MALFORMED[name]?.(new DataView(bytes.buffer), bytes);
    const error = await rejectionOf(readEsp(bytesSource(bytes), 0, SIZE));
    expect(error).toBeInstanceOf(ToolError);
    expect(error).toMatchObject({ code: 'esp.malformed' });
  });

  it('refuses a partition outside of the image', async () => {
    const error = await rejectionOf(readEsp(bytesSource(fat32()), 512, SIZE));
    expect(error).toMatchObject({ code: 'esp.malformed' });
  });

  it('gives its code, or the one file, whatever bytes of folders and tables change', async () => {
    const original = fat32();
    const place = fc.oneof(
      fc.integer({ min: 0, max: 511 }),
      fc.integer({ min: FAT, max: FAT + 40 }),
      fc.integer({ min: CLUSTER(2), max: CLUSTER(5) - 1 }),
    );
    const change = fc.tuple(place, fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const before = changes.map(([at]) => original[at] as number);
        for (const [at, mask] of changes) original[at] = (original[at] as number) ^ mask;
        try {
          const esp = await readEsp(bytesSource(original), 0, SIZE);
          for (const { source } of esp.files) await source.read(0, source.size);
        } catch (error) {
          expect(error).toMatchObject({ name: 'ToolError', code: 'esp.malformed' });
        } finally {
          for (const [i, [at]] of [...changes.entries()].reverse())
            original[at] = before[i] as number;
        }
      }),
      { numRuns: 400 },
    );
    expect((await readEsp(bytesSource(original), 0, SIZE)).files).toHaveLength(1);
  }, 120_000);
});
