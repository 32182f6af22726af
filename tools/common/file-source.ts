import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ByteSource, CreateHasher } from 'tee-verify/measure';
import { ToolError } from './tool-error.js';

/** Hashes with node:crypto, which is several times faster than plain JavaScript. */
export const createNodeHasher: CreateHasher = (algorithm) =>
  createHash(algorithm.replace('-', '').toLowerCase());

/** A file to be read in parts. Close it when done. */
export interface FileSource extends ByteSource {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Opens a file, or standard input for `-`. What cannot be read at several places (standard input, a
 * pipe) goes to a temporary file first. Throws `file.unreadable`.
 */
export async function openFile(path: string): Promise<FileSource> {
  if (path === '-') return spool('standard input', process.stdin);
  const handle = await openHandle(path);
  const stat = await handle.stat();
  if (stat.isFile()) return fileSource(path, path, handle, stat.size, async () => undefined);
  if (stat.isCharacterDevice()) {
    await handle.close();
    throw unreadable(path, new Error('it is a character device'));
  }
  return spool(path, handle.createReadStream());
}

/** Opens files for as long as `work` takes. Throws `file.unreadable`. */
export async function withFiles<T>(
  paths: readonly string[],
  work: (files: readonly FileSource[]) => Promise<T>,
): Promise<T> {
  const files: FileSource[] = [];
  try {
    for (const path of paths) files.push(await openFile(path));
    return await work(files);
  } finally {
    for (const file of files) await file.close();
  }
}

/** A whole small file, or standard input for `-`. Throws `file.unreadable`, `file.too-large`. */
export async function readSmallFile(path: string, maxBytes: number): Promise<Uint8Array> {
  const name = path === '-' ? 'standard input' : path;
  const stream = path === '-' ? process.stdin : (await openHandle(path)).createReadStream();
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of limited(name, stream, maxBytes)) chunks.push(chunk);
  } catch (error) {
    throw error instanceof ToolError ? error : unreadable(name, error);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

async function openHandle(path: string): Promise<FileHandle> {
  try {
    const handle = await open(path, 'r');
    if (!(await handle.stat()).isDirectory()) return handle;
    await handle.close();
  } catch (error) {
    throw unreadable(path, error);
  }
  throw unreadable(path, new Error('it is a folder'));
}

/** The chunks of a stream, as long as they are not too many. Throws `file.too-large`. */
async function* limited(
  name: string,
  stream: NodeJS.ReadableStream,
  maxBytes: number,
): AsyncGenerator<Buffer> {
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes)
      throw new ToolError('file.too-large', {
        expected: `${name}: at most ${maxBytes} bytes`,
        actual: 'more',
      });
    yield chunk;
  }
}

/** More than any image that is piped; a device without an end must not fill the disk. */
const MAX_SPOOL_BYTES = 32 * 1024 ** 3;

/** Copies a stream to a temporary file that goes when the source is closed. */
async function spool(name: string, stream: NodeJS.ReadableStream): Promise<FileSource> {
  const folder = await mkdtemp(join(tmpdir(), 'tee-tools-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  let handle: FileHandle | undefined;
  try {
    const copy = join(folder, 'copy');
    handle = await open(copy, 'wx+', 0o600);
    // Without a name, where the system has another way to it, nothing can be left behind.
    const nameless = `/proc/self/fd/${handle.fd}`;
    const isNameless = existsSync(nameless);
    if (isNameless) await remove();
    let size = 0;
    for await (const chunk of limited(name, stream, MAX_SPOOL_BYTES)) {
      size += chunk.length;
      await handle.writeFile(chunk);
    }
    return fileSource(name, isNameless ? nameless : copy, handle, size, remove);
  } catch (error) {
    await handle?.close();
    await remove();
    throw error instanceof ToolError ? error : unreadable(name, error);
  }
}

function fileSource(
  name: string,
  path: string,
  handle: FileHandle,
  size: number,
  onClose: () => Promise<void>,
): FileSource {
  return {
    path,
    size,
    async read(offset, length) {
      const buffer = Buffer.allocUnsafe(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await handle
          .read(buffer, filled, length - filled, offset + filled)
          .catch((error: unknown) => {
            throw unreadable(name, error);
          });
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      // No Buffer: its slice() would share memory.
      return new Uint8Array(buffer.buffer, buffer.byteOffset, filled);
    },
    async close() {
      await handle.close();
      await onClose();
    },
  };
}

function unreadable(name: string, cause: unknown): ToolError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ToolError('file.unreadable', { actual: `${name}: ${reason}`, cause });
}
