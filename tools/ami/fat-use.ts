import type { ByteSource } from 'tee-verify/measure';
import { viewOf } from '../image/disk/read-at.js';

const CHUNK_BYTES = 1024 * 1024;

/**
 * How much of a FAT12, FAT16 or FAT32 file system is in use, from its start to the end of its last
 * cluster that belongs to something, in bytes (Microsoft FAT specification 1.03, "FAT Type
 * Determination"). All of it where it cannot be read.
 */
export async function readFatUse(partition: ByteSource): Promise<number> {
  const boot = await partition.read(0, 512);
  if (boot.length < 512 || boot[510] !== 0x55 || boot[511] !== 0xaa) return partition.size;
  const view = viewOf(boot);
  const sectorBytes = view.getUint16(11, true);
  const clusterBytes = view.getUint8(13) * sectorBytes;
  const fatOffset = view.getUint16(14, true) * sectorBytes;
  const fatSectors = view.getUint16(22, true) || view.getUint32(36, true);
  const fatBytes = fatSectors * sectorBytes;
  const rootBytes = Math.ceil((view.getUint16(17, true) * 32) / sectorBytes) * sectorBytes;
  const copies = view.getUint8(16);
  const dataOffset = fatOffset + copies * fatBytes + rootBytes;
  const sectors = view.getUint16(19, true) || view.getUint32(32, true);
  const clusters = Math.floor((sectors * sectorBytes - dataOffset) / clusterBytes);
  // Whatever is no FAT file system counts as used.
  const isFat =
    [512, 1024, 2048, 4096].includes(sectorBytes) &&
    clusterBytes > 0 &&
    clusters >= 1 &&
    fatOffset > 0 &&
    copies > 0 &&
    sectors * sectorBytes <= partition.size;
  const bits = clusters < 4085 ? 12 : clusters < 65_525 ? 16 : 32;
  const tableBytes = Math.ceil(((clusters + 2) * bits) / 8);
  if (!isFat || tableBytes > fatBytes) return partition.size;
  for (let end = tableBytes; end > 0; end -= CHUNK_BYTES) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const chunk = await partition.read(fatOffset + start, end - start);
    const last = chunk.findLastIndex((byte) => byte !== 0);
    if (last < 0) continue;
    // The cluster whose entry this byte belongs to; of two, the later one.
    const cluster = Math.floor(((start + last) * 8 + 7) / bits);
    return Math.min(partition.size, dataOffset + Math.max(0, cluster - 1) * clusterBytes);
  }
  return partition.size;
}
