import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { isFilledWith } from 'tee-verify/bytes';
import { writeAll } from '../disk/write-all.js';
import { writing } from './output-folder.js';

const CHUNK_BYTES = 1024 * 1024;
const CHUNKS_A_TURN = 64;

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
      await file.truncate(sizeBytes);
      return new RawWriter(path, file);
    });
  }

  /** Writes bytes at a place. Throws `file.unwritable`. */
  async write(bytes: Uint8Array, offset: number): Promise<void> {
    await writing(this.#path, () => writeAll(this.#file, bytes, offset));
  }

  /**
   * Copies a file to a place; runs of zeros stay holes. Without waiting for each piece, which would
   * take twice as long; other work has its turn now and then. Throws `file.unwritable`.
   */
  async copy(from: string, offset: number): Promise<void> {
    await writing(this.#path, async () => {
      const input = openSync(from, 'r');
      try {
        const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
        for (let at = 0, turn = 1; ; turn++) {
          const length = readSync(input, buffer, 0, CHUNK_BYTES, at);
          if (length === 0) return;
          const chunk = buffer.subarray(0, length);
          if (!isZero(chunk)) writeWhole(this.#file.fd, chunk, offset + at);
          at += length;
          if (turn % CHUNKS_A_TURN === 0) await setImmediate();
        }
      } finally {
        closeSync(input);
      }
    });
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

function writeWhole(file: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(file, bytes, done, bytes.length - done, offset + done);
}

/** Compares with itself one byte on: native, many times faster than a loop. */
function isZero(chunk: Buffer): boolean {
  return isFilledWith(chunk.subarray(0, 16), 0) && chunk.subarray(1).equals(chunk.subarray(0, -1));
}
