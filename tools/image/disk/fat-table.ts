import { equalBytes } from 'tee-verify/bytes';
import type { ByteSource } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { readAt, viewOf } from './read-at.js';
import { isZero } from './zeros.js';

/** Where the parts of a FAT32 file system stand. Offsets from its start, in bytes. */
export interface FatGeometry {
  /** Of the whole file system. */
  readonly sizeBytes: number;
  readonly clusterBytes: number;
  /** Clusters have the numbers 2 to clusters + 1. */
  readonly clusters: number;
  readonly dataOffset: number;
  readonly fatOffset: number;
  readonly fatBytes: number;
  readonly fatCopies: number;
  readonly rootCluster: number;
  /** 8 lower-case hex digits. */
  readonly volumeId: string;
}

const SECTOR = 512;
/** More clusters than the largest EFI system partition has that a build makes. */
const MAX_FAT_BYTES = 64 * 1024 * 1024;
const MIN_CLUSTERS = 65_525;
const CHUNK_BYTES = 1024 * 1024;

/**
 * Reads the boot sector of a FAT32 file system (Microsoft FAT specification 1.03, "Boot Sector and
 * BPB"). Throws `esp.malformed`.
 */
export async function readGeometry(source: ByteSource): Promise<FatGeometry> {
  const view = viewOf(await readAt(source, 0, SECTOR, 'boot sector', 'esp.malformed'));
  const u16 = (at: number): number => view.getUint16(at, true);
  const u32 = (at: number): number => view.getUint32(at, true);
  must(u16(510) === 0xaa55, 'a boot sector that ends with 55 aa', 'another end');
  must(u16(11) === SECTOR, 'sectors of 512 bytes', `${u16(11)}`);
  const perCluster = view.getUint8(13);
  must([1, 2, 4, 8, 16, 32, 64, 128].includes(perCluster), '1 to 128 sectors', `${perCluster}`);
  const reserved = u16(14);
  const fatCopies = view.getUint8(16);
  must(fatCopies === 1 || fatCopies === 2, '1 or 2 FATs', `${fatCopies}`);
  const isFat32 = u16(17) === 0 && u16(19) === 0 && u16(22) === 0;
  must(isFat32, 'FAT32', 'FAT12 or FAT16');
  must(u16(40) === 0 && u16(42) === 0, 'mirrored FATs, version 0', 'other flags');
  const sectors = u32(32);
  must(sectors * SECTOR <= source.size, `at most ${source.size} bytes`, `${sectors} sectors`);
  const fatBytes = u32(36) * SECTOR;
  must(fatBytes > 0 && fatBytes <= MAX_FAT_BYTES, 'a FAT of up to 64 MiB', `${fatBytes} bytes`);
  const fatOffset = reserved * SECTOR;
  const dataOffset = fatOffset + fatCopies * fatBytes;
  const clusterBytes = perCluster * SECTOR;
  const clusters = Math.floor((sectors * SECTOR - dataOffset) / clusterBytes);
  must(reserved > 0 && clusters >= MIN_CLUSTERS, `${MIN_CLUSTERS} clusters`, `${clusters}`);
  must((clusters + 2) * 4 <= fatBytes, `a FAT for ${clusters} clusters`, `${fatBytes} bytes`);
  const rootCluster = u32(44);
  const volumeId = u32(67).toString(16).padStart(8, '0');
  return {
    ...{ clusterBytes, clusters, dataOffset, fatOffset, fatBytes, fatCopies },
    ...{ rootCluster, volumeId, sizeBytes: sectors * SECTOR },
  };
}

/** The clusters of each file: follows chains, each cluster at most once. */
export class FatTable {
  readonly #geometry: FatGeometry;
  readonly #view: DataView;
  readonly #used: Uint8Array;

  private constructor(geometry: FatGeometry, bytes: Uint8Array) {
    this.#geometry = geometry;
    this.#view = viewOf(bytes);
    this.#used = new Uint8Array(geometry.clusters + 2);
  }

  /** Reads the table; its copies must agree. Throws `esp.malformed`. */
  static async read(source: ByteSource, geometry: FatGeometry): Promise<FatTable> {
    const { fatOffset, fatBytes, fatCopies } = geometry;
    const bytes = new Uint8Array(fatBytes);
    for (let at = 0; at < fatBytes; at += CHUNK_BYTES) {
      const length = Math.min(CHUNK_BYTES, fatBytes - at);
      const chunk = await readAt(source, fatOffset + at, length, 'FAT', 'esp.malformed');
      bytes.set(chunk, at);
      if (fatCopies === 1) continue;
      const copy = await readAt(source, fatOffset + fatBytes + at, length, 'FAT', 'esp.malformed');
      // Which copy counts depends on the reader.
      must(equalBytes(bytes.subarray(at, at + length), copy), 'FATs that agree', 'two that differ');
    }
    return new FatTable(geometry, bytes);
  }

  /** The clusters of a chain, in order. Throws `esp.malformed`. */
  chain(first: number, what: string): number[] {
    const chain: number[] = [];
    for (let cluster = first; ; ) {
      const isInside = cluster >= 2 && cluster < this.#geometry.clusters + 2;
      must(isInside, `${what} in clusters 2 to ${this.#geometry.clusters + 1}`, `${cluster}`);
      must(this.#used[cluster] === 0, `${what} in clusters of its own`, `${cluster} twice`);
      this.#used[cluster] = 1;
      chain.push(cluster);
      const next = this.#view.getUint32(cluster * 4, true) & 0x0fffffff;
      if (next >= 0x0ffffff8) return chain;
      cluster = next;
    }
  }

  /**
   * Every cluster in use must belong to a file that was found, and behind the last entry there must
   * be nothing. Throws `esp.malformed`.
   */
  checkNothingLost(): void {
    const { buffer, byteOffset, byteLength } = this.#view;
    const used = this.#used.length * 4;
    const rest = new Uint8Array(buffer, byteOffset + used, byteLength - used);
    must(isZero(rest), 'zeros behind the entries of the FAT', 'data');
    for (let cluster = 2; cluster < this.#used.length; cluster++) {
      const isFree = (this.#view.getUint32(cluster * 4, true) & 0x0fffffff) === 0;
      must(isFree || this.#used[cluster] === 1, 'no data outside of files', `cluster ${cluster}`);
    }
  }
}

/** Throws `esp.malformed` unless a condition holds. */
export function must(condition: boolean, expected: string, actual: string): asserts condition {
  if (!condition) throw new ToolError('esp.malformed', { expected, actual });
}
