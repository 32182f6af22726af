import type { FileHandle } from 'node:fs/promises';

/** Writes all of these bytes at a place; one call may write only a part (a disk that gets full). */
export async function writeAll(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}
