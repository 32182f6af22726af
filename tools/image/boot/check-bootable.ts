import type { ByteSource } from 'tee-verify/measure';
import { openFile } from '../../common/file-source.js';
import { ToolError } from '../../common/tool-error.js';
import { ARCHITECTURES } from '../disk/architecture.js';
import { readGpt } from '../disk/read-gpt.js';

/** Where a GPT begins, and its signature (UEFI 2.10, 5.3.2). */
const HEADER_OFFSET = 512;
const SIGNATURE = 'EFI PART';
const SECTOR_BYTES = 512;

/** Whether a file looks like a disk for this machine, with a GPT. Throws `file.unreadable`, `boot.image-unsupported`. */
export async function checkBootable(path: string): Promise<void> {
  if (path === '-')
    throw new ToolError('usage.option-invalid', { expected: 'a file', actual: 'standard input' });
  const file = await openFile(path);
  try {
    const header = Buffer.from(await file.read(HEADER_OFFSET, SIGNATURE.length));
    if (header.toString('latin1') !== SIGNATURE)
      unsupported(path, 'a raw image with a GUID partition table', 'none');
    if (file.size % SECTOR_BYTES !== 0)
      unsupported(path, 'whole sectors of 512 bytes', `${file.size} bytes`);
    if (await isForArm(file)) unsupported(path, 'an image for x86_64', 'one for aarch64');
  } finally {
    await file.close();
  }
}

/** By the types of its partitions. A table that our strict reader refuses may boot all the same. */
async function isForArm(source: ByteSource): Promise<boolean> {
  const arm = Object.values(ARCHITECTURES.aarch64.types);
  const types = await readGpt(source).then(
    ({ partitions }) => partitions.map(({ type }) => type),
    () => [],
  );
  return types.some((type) => arm.includes(type));
}

function unsupported(path: string, expected: string, actual: string): never {
  throw new ToolError('boot.image-unsupported', { expected, actual: `${actual} in ${path}` });
}
