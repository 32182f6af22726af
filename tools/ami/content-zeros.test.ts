import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { bytesSource } from 'tee-verify/measure';
import { afterEach, describe, expect, it } from 'vitest';
import { ARCHITECTURES, ESP_TYPE } from '../image/disk/architecture.js';
import { encodeGpt } from '../image/disk/gpt.js';
import { findContentZeros } from './content-zeros.js';
import { readFatUse } from './fat-use.js';
import { countPuts, type LocalAws, startLocalAws, TEST_REGION } from './test-support/local-aws.js';
import { makeImage } from './test-support/make-image.js';
import { readSnapshot } from './test-support/read-snapshot.js';
import { MIB, upload, when } from './test-support/upload-fixture.js';

let aws: LocalAws | undefined;
afterEach(async () => {
  await aws?.close();
  aws = undefined;
});

const LINUX_DATA = '0fc63daf-8483-4772-8e79-3d69d8477de4';
const uuid = (n: number): string => `0000000${n}-1111-2222-3333-444444444444`;

interface Part {
  readonly type: string;
  readonly startMib: number;
  readonly mib: number;
}

function table(sizeBytes: number, parts: readonly Part[]): { head: Uint8Array; tail: Uint8Array } {
  return encodeGpt({
    ...{ diskUuid: uuid(9), sizeBytes },
    partitions: parts.map(({ type, startMib, mib }, i) => ({
      ...{ type, label: `part ${i}`, uuid: uuid(i), attributes: 0n },
      ...{ offsetBytes: startMib * MIB, sizeBytes: mib * MIB },
    })),
  });
}

/** The boot sector and the FAT of an empty file system; `used` clusters of it belong to a file. */
function fat(bits: 12 | 16 | 32, used: number): { bytes: Uint8Array; size: number; end: number } {
  const clusterSectors = bits === 12 ? 4 : 1;
  const clusters = { 12: 4000, 16: 5000, 32: 70_000 }[bits];
  const fatSectors = Math.ceil(((clusters + 2) * bits) / 8 / 512);
  const rootEntries = bits === 32 ? 0 : 512;
  const data = (1 + 2 * fatSectors) * 512 + rootEntries * 32;
  const size = data + clusters * clusterSectors * 512;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint16(11, 512, true);
  view.setUint8(13, clusterSectors);
  view.setUint16(14, 1, true);
  view.setUint8(16, 2);
  view.setUint16(17, rootEntries, true);
  view.setUint32(32, size / 512, true);
  if (bits === 32) view.setUint32(36, fatSectors, true);
  else view.setUint16(22, fatSectors, true);
  view.setUint16(510, 0xaa55, true);
  // Every entry up to the last one is an end of chain; as bits, little-endian.
  for (let bit = 0; bit < (2 + used) * bits; bit++)
    bytes[512 + (bit >> 3)] = (bytes[512 + (bit >> 3)] as number) | (1 << (bit & 7));
  return { bytes, size, end: data + used * clusterSectors * 512 };
}

describe('readFatUse', () => {
  it.each([12, 16, 32] as const)(
    'finds the end of the last used cluster of FAT%i',
    async (bits) => {
      for (const used of [1, 2, 3, 100, 3999, 4000]) {
        const { bytes, size, end } = fat(bits, used);
        const found = await readFatUse(bytesSource(bytes));
        // Half a byte of FAT12 may be the next cluster's.
        expect(found - end).toBeGreaterThanOrEqual(0);
        expect(found - end).toBeLessThanOrEqual(bits === 12 ? 2048 : 0);
        expect(found).toBeLessThanOrEqual(size);
      }
    },
  );

  it('takes all of it where there is no FAT', async () => {
    const empty = new Uint8Array(4 * MIB);
    expect(await readFatUse(bytesSource(empty))).toBe(empty.length);
    for (const at of [11, 13, 14, 16, 32, 36, 510]) {
      const { bytes } = fat(32, 5);
      bytes.fill(0, at, at + (at === 13 || at === 16 ? 1 : 2));
      if (at === 32 || at === 36) bytes.fill(0xff, at, at + 4);
      expect([at, await readFatUse(bytesSource(bytes))]).toEqual([at, bytes.length]);
    }
  });
});

describe('findContentZeros', () => {
  const disk = (type: string, change: (view: DataView) => void = () => undefined): Uint8Array => {
    const bytes = new Uint8Array(8 * MIB);
    const { head, tail } = table(bytes.length, [{ type, startMib: 2, mib: 3 }]);
    bytes.set(head);
    bytes.set(tail, bytes.length - tail.length);
    change(new DataView(bytes.buffer));
    return bytes;
  };
  const find = (bytes: Uint8Array) => findContentZeros(bytesSource(bytes));

  it.each(
    Object.entries(ARCHITECTURES).flatMap(([name, { types }]) =>
      Object.entries(types).map(([part, type]) => [`${part} for ${name}`, type] as const),
    ),
  )('keeps %s', async (_, type) => {
    expect(await find(disk(type))).toEqual([{ start: 2 * MIB, end: 5 * MIB }]);
  });

  it('keeps nothing of other partitions, and all of an EFI system partition without a FAT', async () => {
    expect(await find(disk(LINUX_DATA))).toEqual([]);
    expect(await find(disk(ESP_TYPE))).toEqual([{ start: 2 * MIB, end: 5 * MIB }]);
  });

  const { root } = ARCHITECTURES.x86_64.types;
  it.each<[string, (view: DataView) => void, boolean]>([
    ['boot code and a hybrid MBR', (view) => view.setUint8(0, 0xeb), true],
    ['wrong checksums', (view) => view.setUint32(528, 7, true), true],
    ['no backup', (view) => view.setUint32(view.byteLength - 512, 0), true],
    ['a partition beyond the end', (view) => view.setBigUint64(1024 + 40, 1n << 40n, true), true],
    ['no signature', (view) => view.setUint8(512, 0), false],
    ['entries beyond the end', (view) => view.setBigUint64(512 + 72, 1n << 62n, true), false],
    ['far too many entries', (view) => view.setUint32(512 + 80, 0xffff_ffff, true), false],
    ['entries without a size', (view) => view.setUint32(512 + 84, 0, true), false],
  ])('with %s, the table counts or not', async (_, change, counts) => {
    const found = await find(disk(root, change));
    if (!counts) expect(found).toBeUndefined();
    else expect(found?.[0]).toMatchObject({ start: 2 * MIB });
    for (const { end } of found ?? []) expect(end).toBeLessThanOrEqual(8 * MIB);
  });

  it('reads nothing of what is too short for a table', async () => {
    for (const size of [0, 1, 512, 600, 1024])
      expect(await find(disk(root).subarray(0, size))).toBeUndefined();
  });
});

describe('createAmi', () => {
  const DATA = { type: LINUX_DATA, startMib: 26, mib: 4 };
  const PARTS: readonly Part[] = [
    { type: ESP_TYPE, startMib: 1, mib: 5 },
    { type: ARCHITECTURES.x86_64.types.root, startMib: 6, mib: 10 },
    { type: ARCHITECTURES.x86_64.types['root-verity'], startMib: 16, mib: 4 },
    DATA,
  ];

  /** 32 MiB: an ESP that is half in use, a root and hashes with data at their starts, free space. */
  function partitioned(parts: readonly Part[] = PARTS): string {
    const path = makeImage(join((aws as LocalAws).folder, 'image.raw'), {
      bytes: 32 * MIB,
      dataBlocks: [0, 12, 32, 52],
    });
    const file = openSync(path, 'r+');
    const { head, tail } = table(32 * MIB, parts);
    writeSync(file, head, 0, head.length, 0);
    writeSync(file, tail, 0, tail.length, 32 * MIB - tail.length);
    const { bytes } = fat(16, 3000); // 1500 KiB of files, all zeros
    writeSync(file, bytes, 0, bytes.length, MIB);
    closeSync(file);
    return path;
  }

  /** The volume as an encrypted one reads: noise where the snapshot has no block. */
  async function encryptedVolume(snapshotId: string): Promise<Buffer> {
    const { url } = aws as LocalAws;
    const at = { endpoint: url, region: TEST_REGION };
    return Buffer.from(await readSnapshot(at, snapshotId, 32 * MIB, 0xa5));
  }

  it('sends the zeros of verity partitions and of the used part of the ESP', async () => {
    aws = await startLocalAws();
    const path = partitioned();
    const made = await upload(aws);
    // GPT and its backup; 4 blocks of the ESP; 20 of the root; 8 of its hashes; 1 of the data.
    expect(made).toMatchObject({
      blocks: 35,
      zeroBlocks: { sent: 29, leftOut: 29, chosenBy: 'partition-table' },
    });
    const [bytes, volume] = [readFileSync(path), await encryptedVolume(made.snapshotId)];
    const same = (from: number, to: number): number =>
      Buffer.compare(bytes.subarray(from, to), volume.subarray(from, to));
    expect(same(MIB, MIB + fat(16, 3000).end)).toBe(0);
    expect(same(6 * MIB, 20 * MIB)).toBe(0);
    expect(same(20 * MIB, 26 * MIB)).not.toBe(0);
    expect(same(27 * MIB, 30 * MIB)).not.toBe(0);
  });

  it('sends every block with sendZeros, with and without a table', async () => {
    aws = await startLocalAws();
    const path = partitioned();
    const made = await upload(aws, { sendZeros: true });
    expect(made.zeroBlocks).toMatchObject({ leftOut: 0, chosenBy: 'send-zeros' });
    expect(made.blocks).toBe(64);
    expect(Buffer.compare(await encryptedVolume(made.snapshotId), readFileSync(path))).toBe(0);
  });

  it('says when there is no table to choose by', async () => {
    aws = await startLocalAws();
    makeImage(join(aws.folder, 'image.raw'), { bytes: 8 * MIB, dataBlocks: [0, 3] });
    const made = await upload(aws);
    expect(made.zeroBlocks).toEqual({ sent: 0, leftOut: 14, chosenBy: 'no-partition-table' });
  });

  it('resumes with zeros that were sent, and only as it began', async () => {
    aws = await startLocalAws(
      when(/completion/, (n) => (n === 0 ? { answer: { status: 403 } } : undefined)),
    );
    partitioned();
    await expect(upload(aws)).rejects.toMatchObject({ code: 'ami.access-denied' });
    await expect(upload(aws, { resume: true, sendZeros: true })).rejects.toMatchObject({
      code: 'ami.state-unusable',
      expected: expect.stringContaining('without --send-zeros'),
    });
    const puts = countPuts(aws.server.requests);
    const made = await upload(aws, { resume: true });
    expect(made).toMatchObject({ blocks: 35, sentBlocks: 0 });
    expect(countPuts(aws.server.requests)).toBe(puts);
  });
});
