import { createHash, randomFillSync } from 'node:crypto';
import fc from 'fast-check';
import { asciiBytes, concatBytes } from 'tee-verify/bytes';
import { bytesSource } from 'tee-verify/measure';
import { describe, expect, it } from 'vitest';
import { rejectionOf } from '../../../src/test-support/rejection.js';
import { ToolError } from '../../common/tool-error.js';
import { readVeritySuperblock, recomputeVerity, verityBytes, verityLevels } from './verity.js';

const BLOCK = 4096;
const SALT = randomFillSync(new Uint8Array(32));
const sha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(SALT).update(bytes).digest());

function superblock(dataBlocks: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  const view = new DataView(bytes.buffer);
  bytes.set(asciiBytes('verity\0\0'));
  view.setUint32(8, 1, true);
  view.setUint32(12, 1, true);
  bytes.set(randomFillSync(new Uint8Array(16)), 16);
  bytes.set(asciiBytes('sha256'), 32);
  view.setUint32(64, BLOCK, true);
  view.setUint32(68, BLOCK, true);
  view.setBigUint64(72, BigInt(dataBlocks), true);
  view.setUint16(80, SALT.length, true);
  bytes.set(SALT, 88);
  return bytes;
}

/** The obvious way: whole levels, one after the other. */
function tree(data: Uint8Array): { hashes: Uint8Array; root: Uint8Array } {
  const levels: Uint8Array[] = [];
  let below = data;
  while (below.length > BLOCK) {
    const count = below.length / BLOCK;
    const level = new Uint8Array(Math.ceil(count / 128) * BLOCK);
    for (let i = 0; i < count; i++)
      level.set(sha256(below.subarray(i * BLOCK, (i + 1) * BLOCK)), i * 32);
    levels.unshift(level);
    below = level;
  }
  return { hashes: concatBytes(superblock(data.length / BLOCK), ...levels), root: sha256(below) };
}

async function compute(data: Uint8Array, hashes: Uint8Array): Promise<string> {
  const read = await readVeritySuperblock(bytesSource(hashes));
  return recomputeVerity(bytesSource(data), bytesSource(hashes), read);
}

describe('recomputeVerity', () => {
  it.each([1, 2, 127, 128, 129, 255, 256, 257, 1000])(
    'agrees with whole levels: %i blocks',
    async (blocks) => {
      const data = randomFillSync(new Uint8Array(blocks * BLOCK));
      const { hashes, root } = tree(data);
      expect(hashes.length).toBe(verityBytes(blocks));
      expect(await compute(data, hashes)).toBe(Buffer.from(root).toString('hex'));
    },
  );

  it('agrees with three levels', async () => {
    const blocks = 128 * 128 + 5;
    const data = new Uint8Array(blocks * BLOCK);
    for (let i = 0; i < blocks; i++) data[i * BLOCK] = i;
    const { hashes, root } = tree(data);
    expect(verityLevels(blocks)).toEqual([129, 2, 1]);
    expect(await compute(data, hashes)).toBe(Buffer.from(root).toString('hex'));
  });

  it('finds one changed bit anywhere, in the data and in the tree', async () => {
    const data = randomFillSync(new Uint8Array(300 * BLOCK));
    const { hashes, root } = tree(data);
    const place = fc.integer({ min: 0, max: data.length + hashes.length - BLOCK - 1 });
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 0, max: 7 }), async (at, bit) => {
        const [a, b] = [data.slice(), hashes.slice()];
        if (at < a.length) a[at] = (a[at] as number) ^ (1 << bit);
        else b[at - a.length + BLOCK] = (b[at - a.length + BLOCK] as number) ^ (1 << bit);
        const found = await compute(a, b).catch((error: unknown) => (error as ToolError).code);
        expect(found).toBe('verity.data-mismatch');
      }),
      { numRuns: 60 },
    );
    expect(await compute(data, hashes)).toBe(Buffer.from(root).toString('hex'));
  });

  it('gives another root hash for one changed block without a tree', async () => {
    const data = new Uint8Array(BLOCK);
    const { hashes, root } = tree(data);
    data[7] = 1;
    expect(await compute(data, hashes)).not.toBe(Buffer.from(root).toString('hex'));
  });

  it.each([
    ['data', 300, 200 * BLOCK, 400 * BLOCK],
    ['hashes', 300, 300 * BLOCK, 3 * BLOCK],
  ])('refuses too little room: %s', async (_, blocks, dataBytes, hashBytes) => {
    const hashes = new Uint8Array(hashBytes);
    hashes.set(superblock(blocks));
    const error = await rejectionOf(compute(new Uint8Array(dataBytes), hashes));
    expect(error).toMatchObject({ code: 'verity.superblock' });
  });
});

describe('readVeritySuperblock', () => {
  const MALFORMED: Record<string, (view: DataView) => void> = {
    'another name': (view) => view.setUint8(0, 0x56),
    'version 0': (view) => view.setUint32(8, 0, true),
    'hash type 0 (Chrome OS)': (view) => view.setUint32(12, 0, true),
    sha512: (view) => view.setUint32(35, 0x323135, true),
    'a name behind the name': (view) => view.setUint8(50, 0x41),
    'data blocks of 512 bytes': (view) => view.setUint32(64, 512, true),
    'hash blocks of 0 bytes': (view) => view.setUint32(68, 0, true),
    'no blocks': (view) => view.setBigUint64(72, 0n, true),
    'more blocks than there can be': (view) => view.setBigUint64(72, 2n ** 64n - 1n, true),
    'more salt than there is room': (view) => view.setUint16(80, 257, true),
    'salt that reaches over the rest': (view) => view.setUint16(80, 0xffff, true),
    'less salt than stands there': (view) => view.setUint16(80, 16, true),
    'something in the padding': (view) => view.setUint8(84, 1),
    'something behind the salt': (view) => view.setUint8(511, 1),
  };

  it.each(Object.keys(MALFORMED))('refuses %s', async (name) => {
    const bytes = superblock(5);
    MALFORMED[name]?.(new DataView(bytes.buffer));
    const error = await rejectionOf(readVeritySuperblock(bytesSource(bytes)));
    expect(error).toBeInstanceOf(ToolError);
    expect(error).toMatchObject({ code: 'verity.superblock' });
  });

  it('refuses every prefix and random bytes with its code', async () => {
    const bytes = superblock(5);
    for (let length = 0; length < 512; length++)
      expect(
        await rejectionOf(readVeritySuperblock(bytesSource(bytes.subarray(0, length)))),
      ).toMatchObject({ code: 'verity.superblock' });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (random) => {
        const error = await rejectionOf(readVeritySuperblock(bytesSource(random)));
        expect(error).toMatchObject({ code: 'verity.superblock' });
      }),
    );
  });
});
