import { rmSync } from 'node:fs';
import { access, constants, mkdtemp, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { writing } from './output-folder.js';

/** Memory that looks like a folder, on Linux. */
const MEMORY = '/dev/shm';
/** Part of the memory at hand that a build may fill. */
const SHARE = 0.25;
/** File systems and archives need a little more than their contents. */
const MARGIN = 1.25;
const MARGIN_BYTES = 64 * 1024 * 1024;

/**
 * A folder for what is read once and thrown away: in memory when it fits easily, so that contents go
 * to the disk once and not twice, else in `parent`. It goes when `work` ends, however it ends. Throws
 * `file.unwritable`, and what `work` throws.
 */
export async function withScratchFolder<T>(
  parent: string,
  neededBytes: number,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const place = (await fitsInMemory(neededBytes * MARGIN + MARGIN_BYTES)) ? MEMORY : parent;
  const folder = await writing(place, () => mkdtemp(join(place, 'tee-image-')));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.on('exit', remove); // an interruption ends the process
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
    process.off('exit', remove);
  }
}

async function fitsInMemory(bytes: number): Promise<boolean> {
  // Knows the limits of a container; not there before Node 20.13.
  if (bytes > (process.availableMemory?.() ?? 0) * SHARE) return false;
  try {
    await access(MEMORY, constants.W_OK);
    const { bavail, bsize } = await statfs(MEMORY);
    return bytes <= bavail * bsize;
  } catch {
    return false;
  }
}
