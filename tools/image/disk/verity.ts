import { createHash } from 'node:crypto';
import { asciiBytes, encodeHex, equalBytes, isFilledWith } from 'tee-verify/bytes';
import type { ByteSource } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { guidOfHex } from './guid.js';
import { readAt, viewOf } from './read-at.js';

/** Blocks of data and of hashes, in bytes. */
export const VERITY_BLOCK_BYTES: number = 4096;
/** Hashes of SHA-256 in one block. */
const PER_BLOCK = 128;
const HASH_BYTES = 32;
const MAX_SALT_BYTES = 256;
const CHUNK_BYTES = 1024 * 1024;

/** What the superblock of a hash partition says. */
export interface VeritySuperblock {
  readonly uuid: string;
  readonly dataBlocks: number;
  readonly salt: Uint8Array;
}

/** How many hash blocks each level has, the one that hashes the data first. */
export function verityLevels(dataBlocks: number): number[] {
  const levels: number[] = [];
  for (let blocks = dataBlocks; blocks > 1; ) {
    blocks = Math.ceil(blocks / PER_BLOCK);
    levels.push(blocks);
  }
  return levels;
}

/** Size of a superblock and its hash tree, in bytes. */
export function verityBytes(dataBlocks: number): number {
  const blocks = verityLevels(dataBlocks).reduce((sum, level) => sum + level, 1);
  return blocks * VERITY_BLOCK_BYTES;
}

/**
 * Reads the superblock of a hash partition: version 1, SHA-256, blocks of 4096 bytes, as systemd and
 * the kernel read it (cryptsetup, lib/verity/verity.c). Throws `verity.superblock`.
 */
export async function readVeritySuperblock(hashes: ByteSource): Promise<VeritySuperblock> {
  const bytes = await readAt(hashes, 0, 512, 'superblock', 'verity.superblock');
  const view = viewOf(bytes);
  must(equalBytes(bytes.subarray(0, 8), asciiBytes('verity\0\0')), 'verity', 'something else');
  must(view.getUint32(8, true) === 1, 'version 1', `${view.getUint32(8, true)}`);
  must(view.getUint32(12, true) === 1, 'hash type 1', `${view.getUint32(12, true)}`);
  const algorithm = encodeHex(bytes.subarray(32, 64));
  must(algorithm === encodeHex(asciiBytes('sha256')).padEnd(64, '0'), 'sha256', 'another hash');
  const sizes = [view.getUint32(64, true), view.getUint32(68, true)];
  const isUsual = sizes.every((size) => size === VERITY_BLOCK_BYTES);
  must(isUsual, `blocks of ${VERITY_BLOCK_BYTES} bytes`, sizes.join(' and '));
  const blocks = view.getBigUint64(72, true);
  must(blocks > 0n && blocks < 2n ** 40n, 'a number of data blocks', `${blocks}`);
  const saltBytes = view.getUint16(80, true);
  must(saltBytes <= MAX_SALT_BYTES, `at most ${MAX_SALT_BYTES} bytes of salt`, `${saltBytes}`);
  const rest = [bytes.subarray(82, 88), bytes.subarray(88 + saltBytes)];
  must(
    rest.every((part) => isFilledWith(part, 0)),
    'zeros where nothing is',
    'data',
  );
  return {
    uuid: guidOfHex(encodeHex(bytes.subarray(16, 32))),
    dataBlocks: Number(blocks),
    salt: bytes.slice(88, 88 + saltBytes),
  };
}

/**
 * Computes the root hash of a data partition and compares every hash on the way with the hash
 * partition: a difference there would make the kernel refuse the block when it is read. Memory: one
 * block for each level. Gives 64 hex digits. Throws `verity.data-mismatch`.
 */
export async function recomputeVerity(
  data: ByteSource,
  hashes: ByteSource,
  { dataBlocks, salt }: VeritySuperblock,
): Promise<string> {
  must(dataBlocks * VERITY_BLOCK_BYTES <= data.size, `at most ${data.size} bytes`, 'more data');
  must(verityBytes(dataBlocks) <= hashes.size, `${verityBytes(dataBlocks)} bytes`, 'less');
  const tree = new HashTree(hashes, dataBlocks, salt);
  const end = dataBlocks * VERITY_BLOCK_BYTES;
  const load = (at: number): Promise<Uint8Array> =>
    readAt(data, at, Math.min(CHUNK_BYTES, end - at), 'data', 'verity.superblock');
  for (let at = 0, next = load(0); at < end; at += CHUNK_BYTES) {
    const chunk = await next;
    if (at + CHUNK_BYTES < end) {
      next = load(at + CHUNK_BYTES); // read while this one is hashed
      next.catch(() => undefined);
    }
    for (let from = 0; from < chunk.length; from += VERITY_BLOCK_BYTES)
      await tree.add(chunk.subarray(from, from + VERITY_BLOCK_BYTES));
  }
  return encodeHex(await tree.finish());
}

/** The tree as it grows: each level's last block, the one that hashes the data first. */
class HashTree {
  readonly #hashes: ByteSource;
  readonly #salt: Uint8Array;
  readonly #levels: { readonly block: Uint8Array; used: number; offset: number }[];
  #root: Uint8Array = new Uint8Array();

  constructor(hashes: ByteSource, dataBlocks: number, salt: Uint8Array) {
    this.#hashes = hashes;
    this.#salt = salt;
    // The highest level stands first, behind the superblock.
    const sizes = verityLevels(dataBlocks);
    this.#levels = sizes.map((_, level) => {
      const above = sizes.slice(level + 1).reduce((sum, blocks) => sum + blocks, 0);
      const offset = (1 + above) * VERITY_BLOCK_BYTES;
      return { block: new Uint8Array(VERITY_BLOCK_BYTES), used: 0, offset };
    });
  }

  async add(block: Uint8Array): Promise<void> {
    const full = this.#put(0, this.#hash(block));
    if (full) await this.#flush(0);
  }

  async finish(): Promise<Uint8Array> {
    for (const [level, { used }] of this.#levels.entries()) if (used > 0) await this.#flush(level);
    return this.#root;
  }

  /** Whether the level's block is full now. */
  #put(index: number, hash: Uint8Array): boolean {
    const level = this.#levels[index];
    if (level === undefined) {
      this.#root = hash;
      return false;
    }
    level.block.set(hash, level.used * HASH_BYTES);
    level.used++;
    return level.used === PER_BLOCK;
  }

  async #flush(index: number): Promise<void> {
    const level = this.#levels[index];
    if (level === undefined) return;
    level.block.fill(0, level.used * HASH_BYTES);
    const code = 'verity.superblock';
    const stored = await readAt(this.#hashes, level.offset, VERITY_BLOCK_BYTES, 'hashes', code);
    if (!equalBytes(stored, level.block))
      throw new ToolError('verity.data-mismatch', {
        expected: `the hashes at offset ${level.offset} of the hash partition (level ${index})`,
        actual: 'others',
      });
    level.offset += VERITY_BLOCK_BYTES;
    level.used = 0;
    if (this.#put(index + 1, this.#hash(level.block))) await this.#flush(index + 1);
  }

  #hash(block: Uint8Array): Uint8Array {
    return createHash('sha256').update(this.#salt).update(block).digest();
  }
}

function must(condition: boolean, expected: string, actual: string): asserts condition {
  if (!condition) throw new ToolError('verity.superblock', { expected, actual });
}
