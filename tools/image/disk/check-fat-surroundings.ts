import { asciiBytes, equalBytes } from 'tee-verify/bytes';
import type { ByteSource } from 'tee-verify/measure';
import { type FatGeometry, must } from './fat-table.js';
import { readAt } from './read-at.js';
import { checkZeros, isZero } from './zeros.js';

const SECTOR = 512;
/** Where a sector with boot code has its table of partitions. */
const TABLE: readonly [from: number, end: number] = [446, 510];
/** Linux notes here that the file system is mounted (BS_Reserved1). */
const STATE = 65;

/**
 * Firmware looks for further partition tables and file systems inside of each partition, and starts
 * the boot path of whichever it finds first (EDK2, PartitionDxe and UefiBootManagerLib). So around a
 * FAT32 file system there must be nothing: no table in its boot sector, only that sector, its FSInfo
 * and their backups among the reserved ones, zeros behind the end. Throws `esp.malformed`.
 */
export async function checkFatSurroundings(
  partition: ByteSource,
  { fatOffset, sizeBytes }: FatGeometry,
): Promise<void> {
  const reserved = await readAt(partition, 0, fatOffset, 'reserved sectors', 'esp.malformed');
  const boot = reserved.slice(0, SECTOR);
  const table = boot.subarray(...TABLE);
  must(isZero(table), 'a boot sector without a partition table', 'one in it');
  boot[STATE] = 0;
  for (let at = SECTOR; at < reserved.length; at += SECTOR) {
    const sector = reserved.slice(at, at + SECTOR);
    if (isZero(sector) || isFileSystemInfo(sector)) continue;
    sector[STATE] = 0;
    must(equalBytes(sector, boot), 'reserved sectors with nothing else in them', `data at ${at}`);
  }
  const rest = [sizeBytes, partition.size] as const;
  await checkZeros(partition, rest, 'behind the file system', 'esp.malformed');
}

/** FSInfo: two numbers between signatures (Microsoft FAT specification 1.03, "FSInfo"). */
function isFileSystemInfo(sector: Uint8Array): boolean {
  const plain = sector.slice();
  plain.fill(0, 488, 496);
  const expected = new Uint8Array(SECTOR);
  expected.set(asciiBytes('RRaA'), 0);
  expected.set(asciiBytes('rrAa'), 484);
  expected.set([0x55, 0xaa], 510);
  return equalBytes(plain, expected);
}
