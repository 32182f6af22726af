import { asciiBytes } from 'tee-verify/bytes';
import { crc32, guidBytes } from 'tee-verify/measure';
import { viewOf } from './read-at.js';

/** Sizes of a GUID partition table with 128 entries (UEFI 2.10, 5.3), in bytes. */
export const GPT: Readonly<
  Record<
    'sectorBytes' | 'headerBytes' | 'entryBytes' | 'entries' | 'headBytes' | 'tailBytes',
    number
  >
> = {
  sectorBytes: 512,
  headerBytes: 92,
  entryBytes: 128,
  entries: 128,
  /** Protective MBR, header, entries. */
  headBytes: 34 * 512,
  /** Entries, header. */
  tailBytes: 33 * 512,
};
/** Attribute bit 60: mounted read-only (UAPI Discoverable Partitions Specification). */
export const READ_ONLY: bigint = 1n << 60n;

/** A partition of a table. Offsets and sizes in bytes, multiples of 512. */
export interface GptPartition {
  readonly label: string;
  readonly type: string;
  readonly uuid: string;
  readonly attributes: bigint;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** A whole table. */
export interface GptTable {
  readonly diskUuid: string;
  readonly sizeBytes: number;
  readonly partitions: readonly GptPartition[];
}

/** What lies between the tables and the partitions, from byte to byte. */
export function gapsOf({ sizeBytes, partitions }: GptTable): (readonly [number, number])[] {
  const sorted = [...partitions].sort((a, b) => a.offsetBytes - b.offsetBytes);
  const ends = [GPT.headBytes, ...sorted.map((one) => one.offsetBytes + one.sizeBytes)];
  const starts = [...sorted.map((one) => one.offsetBytes), sizeBytes - GPT.tailBytes];
  return starts.map((start, i) => [ends[i] as number, start]);
}

/** The bytes at the start and at the end of a disk with this table. */
export function encodeGpt(table: GptTable): { head: Uint8Array; tail: Uint8Array } {
  const lastSector = table.sizeBytes / GPT.sectorBytes - 1;
  const entries = encodeEntries(table.partitions);
  const head = new Uint8Array(GPT.headBytes);
  head.set(protectiveMbr(lastSector));
  head.set(encodeHeader(table, entries, { own: 1, other: lastSector, entries: 2 }), 512);
  head.set(entries, 1024);
  const tail = new Uint8Array(GPT.tailBytes);
  tail.set(entries);
  const places = { own: lastSector, other: 1, entries: lastSector - 32 };
  tail.set(encodeHeader(table, entries, places), 32 * 512);
  return { head, tail };
}

/** One partition of type 0xee from sector 1 to the end, or as far as 32 bits reach. */
export function protectiveMbr(lastSector: number): Uint8Array {
  const mbr = new Uint8Array(512);
  const view = viewOf(mbr);
  mbr.set([0, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446);
  view.setUint32(454, 1, true);
  view.setUint32(458, Math.min(lastSector, 0xffff_ffff), true);
  view.setUint16(510, 0xaa55, true);
  return mbr;
}

function encodeEntries(partitions: readonly GptPartition[]): Uint8Array {
  if (partitions.length > GPT.entries) throw new TypeError('more partitions than entries');
  const bytes = new Uint8Array(GPT.entries * GPT.entryBytes);
  const view = viewOf(bytes);
  for (const [i, partition] of partitions.entries()) {
    const at = i * GPT.entryBytes;
    bytes.set(guidBytes(partition.type), at);
    bytes.set(guidBytes(partition.uuid), at + 16);
    const first = partition.offsetBytes / GPT.sectorBytes;
    const count = partition.sizeBytes / GPT.sectorBytes;
    view.setBigUint64(at + 32, BigInt(first), true);
    view.setBigUint64(at + 40, BigInt(first + count - 1), true);
    view.setBigUint64(at + 48, partition.attributes, true);
    if (partition.label.length > 36) throw new TypeError('a label of more than 36 characters');
    for (const [j, unit] of [...partition.label].entries())
      view.setUint16(at + 56 + 2 * j, unit.charCodeAt(0), true);
  }
  return bytes;
}

function encodeHeader(
  { diskUuid, sizeBytes }: GptTable,
  entries: Uint8Array,
  sectors: { readonly own: number; readonly other: number; readonly entries: number },
): Uint8Array {
  const header = new Uint8Array(GPT.headerBytes);
  const view = viewOf(header);
  header.set(asciiBytes('EFI PART'));
  view.setUint32(8, 0x0001_0000, true);
  view.setUint32(12, GPT.headerBytes, true);
  view.setBigUint64(24, BigInt(sectors.own), true);
  view.setBigUint64(32, BigInt(sectors.other), true);
  view.setBigUint64(40, BigInt(GPT.headBytes / GPT.sectorBytes), true);
  view.setBigUint64(48, BigInt((sizeBytes - GPT.tailBytes) / GPT.sectorBytes - 1), true);
  header.set(guidBytes(diskUuid), 56);
  view.setBigUint64(72, BigInt(sectors.entries), true);
  view.setUint32(80, GPT.entries, true);
  view.setUint32(84, GPT.entryBytes, true);
  view.setUint32(88, crc32(entries), true);
  view.setUint32(16, crc32(header), true);
  return header;
}
