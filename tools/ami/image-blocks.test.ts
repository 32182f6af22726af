import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BLOCK_BYTES, type BlocksToRead, ImageBlocks } from './image-blocks.js';

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'image-blocks-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** An image with 32 blocks of holes or more, whose given blocks hold their number. */
function makeImage(bytes: number, blocks: readonly number[]): string {
  const path = join(folder, 'image.raw');
  const file = openSync(path, 'w');
  ftruncateSync(file, bytes);
  for (const index of blocks) {
    const block = Buffer.alloc(BLOCK_BYTES, index + 1);
    block.writeUInt16LE(0xaa55, 510);
    writeSync(
      file,
      block,
      0,
      Math.min(BLOCK_BYTES, bytes - index * BLOCK_BYTES),
      index * BLOCK_BYTES,
    );
  }
  closeSync(file);
  return path;
}

async function readAll(path: string, which: BlocksToRead) {
  const blocks = await ImageBlocks.open(path, which);
  try {
    const indices: number[] = [];
    const digests = new Map<number, Buffer>();
    for (let block = await blocks.next(); block !== undefined; block = await blocks.next()) {
      const { index, bytes, digest } = block;
      expect(Buffer.from(digest)).toEqual(sha256(bytes));
      expect(bytes[0]).toBe(index + 1);
      indices.push(index);
      digests.set(index, sha256(bytes));
      block.release();
    }
    const linear = createHash('sha256');
    for (const index of [...indices].sort((a, b) => a - b)) linear.update(digests.get(index) ?? '');
    expect(blocks.summary.checksum).toBe(linear.digest('base64'));
    expect(blocks.summary.changedBlocks).toBe(indices.length);
    return { indices, summary: blocks.summary };
  } finally {
    await blocks.close();
  }
}

describe('ImageBlocks', () => {
  // At both ends of stripes, in stripes of one thread alone, and in the last, cut block.
  const BLOCKS = [0, 1, 7, 8, 9, 15, 16, 24, 40, 41, 56, 72, 100];

  it.each([1, 2, 64])(
    'reads each block of a sparse image once, %i held at once',
    async (maxHeld) => {
      const path = makeImage(100 * BLOCK_BYTES + 1000, BLOCKS);
      const { indices, summary } = await readAll(path, { maxHeld });
      expect(indices.sort((a, b) => a - b)).toEqual(BLOCKS);
      expect(summary).toMatchObject({ zeroBlocksSent: 0, zeroBlocksLeftOut: 101 - BLOCKS.length });
    },
  );

  it('keeps the order where it is asked to', async () => {
    const path = makeImage(100 * BLOCK_BYTES + 1000, BLOCKS);
    expect((await readAll(path, { maxHeld: 1, inOrder: true })).indices).toEqual(BLOCKS);
  });

  it('ends when a thread has nothing to read at all', async () => {
    const path = makeImage(64 * BLOCK_BYTES, [0, 3]);
    expect((await readAll(path, { maxHeld: 4 })).indices.sort()).toEqual([0, 3]);
  });

  it('gives what is held to nobody else', async () => {
    const path = makeImage(100 * BLOCK_BYTES, BLOCKS.slice(0, -1));
    const blocks = await ImageBlocks.open(path, { maxHeld: 4 });
    const held = [];
    for (let i = 0; i < 4; i++) held.push(await blocks.next());
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (const block of held) expect(block?.bytes[0]).toBe((block?.index ?? 0) + 1);
    await blocks.close();
  });

  it('says so when the file became shorter', async () => {
    const path = makeImage(200 * BLOCK_BYTES, BLOCKS);
    const blocks = await ImageBlocks.open(path, { maxHeld: 1 });
    const file = openSync(path, 'r+');
    ftruncateSync(file, 20 * BLOCK_BYTES);
    closeSync(file);
    const drain = async (): Promise<void> => {
      for (let block = await blocks.next(); block !== undefined; block = await blocks.next())
        block.release();
    };
    await expect(drain()).rejects.toMatchObject({ code: 'ami.image-changed' });
    await blocks.close();
  });
});
