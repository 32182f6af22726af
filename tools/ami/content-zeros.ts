import { type ByteSource, formatGuid } from 'tee-verify/measure';
import { ARCHITECTURES, ESP_TYPE } from '../image/disk/architecture.js';
import { viewOf, windowOf } from '../image/disk/read-at.js';
import { readFatUse } from './fat-use.js';

/** A range of an image in bytes. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Which blocks of zeros are sent: those of partitions that need them, or all. */
export type ZerosToSend = 'content' | 'all';

/** Of every volume of EBS. */
const SECTOR_BYTES = 512;
/** UEFI asks for 128; more than this no tool writes. */
const MAX_ENTRIES = 1024;
const MAX_ENTRY_BYTES = 4096;
const VERITY_TYPES: ReadonlySet<string> = new Set(
  Object.values(ARCHITECTURES).flatMap(({ types }) => Object.values(types)),
);

/**
 * Where an image's zeros are content, by its GUID partition table; undefined without a table. A block
 * that is left out of a snapshot reads back as noise from an encrypted volume: dm-verity stops the
 * instance there, and firmware reads a damaged file from the EFI system partition.
 *
 * The table is read leniently, unlike an image that is measured: a partition too many costs time, one
 * too few costs the instance.
 */
export async function findContentZeros(
  image: ByteSource,
): Promise<readonly ByteRange[] | undefined> {
  const header = viewOf(await image.read(SECTOR_BYTES, 92));
  if (header.byteLength < 92 || header.getBigUint64(0) !== 0x4546492050415254n) return undefined;
  const [count, bytes] = [header.getUint32(80, true), header.getUint32(84, true)];
  if (count > MAX_ENTRIES || bytes < 128 || bytes > MAX_ENTRY_BYTES) return undefined;
  const place = Number(header.getBigUint64(72, true)) * SECTOR_BYTES;
  if (place + count * bytes > image.size) return undefined;
  const entries = await image.read(place, count * bytes);
  const ranges: ByteRange[] = [];
  for (let at = 0; at + 128 <= entries.length; at += bytes) {
    const entry = viewOf(entries.subarray(at, at + 128));
    const type = formatGuid(entries.subarray(at, at + 16));
    const start = Number(entry.getBigUint64(32, true)) * SECTOR_BYTES;
    const end = Math.min(image.size, (Number(entry.getBigUint64(40, true)) + 1) * SECTOR_BYTES);
    if (start >= end) continue;
    if (VERITY_TYPES.has(type)) ranges.push({ start, end });
    if (type === ESP_TYPE) {
      const used = await readFatUse(windowOf(image, start, end - start));
      ranges.push({ start, end: Math.min(end, start + used) });
    }
  }
  return ranges;
}
