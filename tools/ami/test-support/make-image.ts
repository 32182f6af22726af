import { randomFillSync } from 'node:crypto';
import { closeSync, ftruncateSync, futimesSync, openSync, writeSync } from 'node:fs';

const BLOCK_BYTES = 524_288;

/**
 * Writes an image with a boot record, random data in the blocks named and holes elsewhere. Block 0
 * holds the boot record.
 */
export function makeImage(
  path: string,
  { bytes, dataBlocks }: { readonly bytes: number; readonly dataBlocks: Iterable<number> },
): string {
  const file = openSync(path, 'w');
  ftruncateSync(file, bytes);
  const block = Buffer.alloc(BLOCK_BYTES);
  for (const index of dataBlocks) {
    randomFillSync(block);
    writeSync(
      file,
      block,
      0,
      Math.min(BLOCK_BYTES, bytes - index * BLOCK_BYTES),
      index * BLOCK_BYTES,
    );
  }
  writeSync(file, Buffer.from([0x55, 0xaa]), 0, 2, 510);
  // A time that can be set again exactly.
  futimesSync(file, 1_700_000_000, 1_700_000_000);
  closeSync(file);
  return path;
}
