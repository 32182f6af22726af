import { type FileHandle, open } from 'node:fs/promises';
import { writeAll } from '../disk/write-all.js';
import { isZero } from '../disk/zeros.js';
import { writing } from './output-folder.js';

/** Large, so that there are few turns: waiting for each takes longer than the copying. */
const CHUNK_BYTES = 2 * 1024 * 1024;

/** A raw image that is written part by part; what stays untouched is a hole full of zeros. */
export class RawWriter {
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Makes the file. Throws `file.unwritable`. */
  static async create(path: string, sizeBytes: number): Promise<RawWriter> {
    return writing(path, async () => {
      const file = await open(path, 'wx', 0o644);
      try {
        await file.truncate(sizeBytes);
      } catch (error) {
        await file.close();
        throw error;
      }
      return new RawWriter(path, file);
    });
  }

  /** Opens a file that is there. Throws `file.unwritable`. */
  static async open(path: string): Promise<RawWriter> {
    return writing(path, async () => new RawWriter(path, await open(path, 'r+')));
  }

  /** Writes bytes at a place. Throws `file.unwritable`. */
  async write(bytes: Uint8Array, offset: number): Promise<void> {
    await writing(this.#path, () => writeAll(this.#file, bytes, offset));
  }

  /** Copies a file to a place; runs of zeros stay holes. Throws `file.unwritable`. */
  async copy(from: string, offset: number): Promise<void> {
    await writing(this.#path, async () => {
      const input = await open(from, 'r');
      try {
        const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
        for (let at = 0; ; ) {
          const { bytesRead } = await input.read(buffer, 0, CHUNK_BYTES, at);
          if (bytesRead === 0) return;
          const chunk = buffer.subarray(0, bytesRead);
          if (!isZero(chunk)) await writeAll(this.#file, chunk, offset + at);
          at += bytesRead;
        }
      } finally {
        await input.close();
      }
    });
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
