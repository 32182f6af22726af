import { asciiBytes, equalBytes, isFilledWith } from 'tee-verify/bytes';
import { type ByteSource, crc32, formatGuid, printable } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { GPT, type GptPartition, type GptTable, protectiveMbr } from './gpt.js';
import { readAt, viewOf } from './read-at.js';

/** All of them, used or not. */
const ENTRIES_BYTES = GPT.entries * GPT.entryBytes;

/**
 * Reads the GUID partition table of a raw image, strictly: a protective MBR and nothing else in it,
 * two headers with right checksums that agree, 128 entries that agree, partitions that lie inside the
 * usable space and apart. Throws `gpt.malformed`.
 */
export async function readGpt(source: ByteSource): Promise<GptTable> {
  const { size } = source;
  must(size % 512 === 0 && size >= GPT.headBytes + GPT.tailBytes, 'whole sectors', `${size} bytes`);
  const lastSector = size / 512 - 1;
  const take = (offset: number, length: number, what: string): Promise<Uint8Array> =>
    readAt(source, offset, length, what, 'gpt.malformed');
  checkMbr(await take(0, 512, 'MBR'), lastSector);
  const primary = readHeader(await take(512, 512, 'primary header'), 1, lastSector, 2);
  const backup = readHeader(
    await take(size - 512, 512, 'backup header'),
    lastSector,
    1,
    lastSector - 32,
  );
  const agree =
    primary.diskUuid === backup.diskUuid &&
    primary.entriesCrc === backup.entriesCrc &&
    primary.firstUsable === backup.firstUsable &&
    primary.lastUsable === backup.lastUsable;
  must(agree, 'a primary and a backup header that agree', 'two that differ');
  const entries = await take(1024, ENTRIES_BYTES, 'entries');
  const copy = await take(size - GPT.tailBytes, ENTRIES_BYTES, 'backup entries');
  must(equalBytes(entries, copy), 'entries that agree with their backup', 'others');
  must(crc32(entries) === primary.entriesCrc, 'entries with the right checksum', 'another');
  const partitions = readEntries(entries, primary);
  checkApart(partitions);
  return { diskUuid: primary.diskUuid, sizeBytes: size, partitions };
}

interface Header {
  readonly diskUuid: string;
  readonly firstUsable: number;
  readonly lastUsable: number;
  readonly entriesCrc: number;
}

function checkMbr(mbr: Uint8Array, lastSector: number): void {
  const expected = protectiveMbr(lastSector);
  // The end in cylinders, heads and sectors says nothing; tools write different things.
  const plain = new Uint8Array(mbr);
  plain.set(expected.subarray(447, 450), 447);
  plain.set(expected.subarray(451, 454), 451);
  must(equalBytes(plain, expected), 'a protective MBR and nothing else in it', 'something else');
}

function readHeader(sector: Uint8Array, own: number, other: number, entries: number): Header {
  const name = own === 1 ? 'primary header' : 'backup header';
  const view = viewOf(sector);
  const signature = equalBytes(sector.subarray(0, 8), asciiBytes('EFI PART'));
  must(signature, `${name}: EFI PART`, 'something else');
  const number = (at: number): number => toNumber(view.getBigUint64(at, true), name);
  const field = (what: string, actual: number, expected: number): void =>
    must(actual === expected, `${name}: ${what} ${expected}`, `${actual}`);
  field('revision', view.getUint32(8, true), 0x0001_0000);
  field('size', view.getUint32(12, true), GPT.headerBytes);
  field('reserved field', view.getUint32(20, true), 0);
  field('own sector', number(24), own);
  field('other header', number(32), other);
  field('entries at', number(72), entries);
  field('entries', view.getUint32(80, true), GPT.entries);
  field('entry size', view.getUint32(84, true), GPT.entryBytes);
  const plain = sector.slice(0, GPT.headerBytes);
  plain.fill(0, 16, 20);
  field('checksum', view.getUint32(16, true), crc32(plain));
  must(isFilledWith(sector.subarray(GPT.headerBytes), 0), `${name}: zeros behind it`, 'data');
  const [firstUsable, lastUsable] = [number(40), number(48)];
  const last = Math.max(own, other);
  const inside = firstUsable >= 34 && firstUsable <= lastUsable && lastUsable <= last - 33;
  must(inside, `${name}: usable space between the tables`, `${firstUsable} to ${lastUsable}`);
  const diskUuid = formatGuid(sector.subarray(56, 72));
  return { diskUuid, firstUsable, lastUsable, entriesCrc: view.getUint32(88, true) };
}

function readEntries(bytes: Uint8Array, { firstUsable, lastUsable }: Header): GptPartition[] {
  const partitions: GptPartition[] = [];
  for (let i = 0; i < GPT.entries; i++) {
    const raw = bytes.subarray(i * GPT.entryBytes, (i + 1) * GPT.entryBytes);
    const name = `partition ${i + 1}`;
    if (isFilledWith(raw.subarray(0, 16), 0)) {
      must(isFilledWith(raw, 0), `${name}: an empty entry`, 'data without a type');
      continue;
    }
    must(partitions.length === i, `no empty entry before ${name}`, 'one');
    const view = viewOf(raw);
    const first = toNumber(view.getBigUint64(32, true), name);
    const last = toNumber(view.getBigUint64(40, true), name);
    const inside = first >= firstUsable && first <= last && last <= lastUsable;
    must(inside, `${name} in sectors ${firstUsable} to ${lastUsable}`, `${first} to ${last}`);
    partitions.push({
      label: readLabel(view, name),
      type: formatGuid(raw.subarray(0, 16)),
      uuid: formatGuid(raw.subarray(16, 32)),
      attributes: view.getBigUint64(48, true),
      offsetBytes: first * 512,
      sizeBytes: (last - first + 1) * 512,
    });
  }
  return partitions;
}

function readLabel(view: DataView, name: string): string {
  const units = Array.from({ length: 36 }, (_, i) => view.getUint16(56 + 2 * i, true));
  const end = units.includes(0) ? units.indexOf(0) : units.length;
  must(!units.slice(end).some((unit) => unit !== 0), `${name}: zeros behind its label`, 'data');
  return printable(String.fromCharCode(...units.slice(0, end)));
}

function checkApart(partitions: readonly GptPartition[]): void {
  const sorted = [...partitions].sort((a, b) => a.offsetBytes - b.offsetBytes);
  for (const [i, { offsetBytes, sizeBytes }] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next !== undefined)
      must(offsetBytes + sizeBytes <= next.offsetBytes, 'partitions apart', 'two that overlap');
  }
  const uuids = new Set(partitions.map(({ uuid }) => uuid));
  must(uuids.size === partitions.length, 'partitions with UUIDs of their own', 'one twice');
}

function toNumber(value: bigint, name: string): number {
  must(value <= BigInt(Number.MAX_SAFE_INTEGER), `${name}: a sector of the disk`, `${value}`);
  return Number(value);
}

function must(condition: boolean, expected: string, actual: string): asserts condition {
  if (!condition) throw new ToolError('gpt.malformed', { expected, actual });
}
