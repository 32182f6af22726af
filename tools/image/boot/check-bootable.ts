import { openFile } from '../../common/file-source.js';
import { ToolError } from '../../common/tool-error.js';

/** Where a GPT begins, and its signature (UEFI 2.10, 5.3.2). */
const HEADER_OFFSET = 512;
const SIGNATURE = 'EFI PART';
const SECTOR_BYTES = 512;

/** Whether a file looks like a disk with a GPT. Throws `file.unreadable`, `boot.image-unsupported`. */
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
  } finally {
    await file.close();
  }
}

function unsupported(path: string, expected: string, actual: string): never {
  throw new ToolError('boot.image-unsupported', { expected, actual: `${actual} in ${path}` });
}
