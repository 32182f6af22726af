import { createHash, type Hash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { ToolError } from '../common/tool-error.js';

/** Bytes of a block (EBS direct APIs). */
export const BLOCK_BYTES = 524_288;
/** Read at once: two blocks, so that a block that waits for its acknowledgement holds little. */
const CHUNK_BYTES = 2 * BLOCK_BYTES;
const GIB = 1024 ** 3;
const MAX_VOLUME_GIB = 65_536;
/** A file with this much less on disk than its size has holes worth skipping. */
const WORTH_SKIPPING_BYTES = 16 * 1024 * 1024;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** What an image must have in common with the one whose upload began. */
export interface ImageIdentity {
  readonly size: number;
  readonly mtimeMs: number;
}

/** A block that is not all zeros. */
export interface ImageBlock {
  readonly index: number;
  /** SHA-256 of the block. */
  readonly digest: Uint8Array;
  /** Always a whole block: after the end of the image stand zeros. Not to be used after `release`. */
  readonly bytes: Uint8Array;
  /** Gives the memory back. */
  release(): void;
}

/** All blocks that are not all zeros. */
export interface BlockSummary {
  readonly changedBlocks: number;
  /** Base64 SHA-256 over the blocks' digests in the order of their indices (LINEAR). */
  readonly checksum: string;
}

interface Chunk {
  readonly bytes: Buffer;
  users: number;
}

/**
 * Reads an image block after block, and leaves out what is all zeros. Memory is taken once, for as
 * many blocks as may be held at the same time.
 */
export class ImageBlocks {
  readonly path: string;
  readonly identity: ImageIdentity;
  /** The data that is on disk: about what will be uploaded. */
  readonly allocatedBytes: number;
  readonly #inode: number;
  readonly #free: Chunk[];
  readonly #ready: ImageBlock[] = [];
  #handle: FileHandle;
  #direct: boolean;
  #offset = 0;
  #count = 0;
  readonly #linear: Hash = createHash('sha256');
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    path: string,
    stats: Stats,
    source: { readonly handle: FileHandle; readonly direct: boolean },
    maxHeld: number,
  ) {
    this.path = path;
    this.identity = { size: stats.size, mtimeMs: stats.mtimeMs };
    this.allocatedBytes = Math.min(stats.size, stats.blocks * 512);
    this.#inode = stats.ino;
    this.#handle = source.handle;
    this.#direct = source.direct;
    // The memory of WebAssembly begins at a page, as reading past the page cache wants it.
    const pages = ((maxHeld + 1) * CHUNK_BYTES) / 65_536;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer;
    this.#free = Array.from({ length: maxHeld + 1 }, (_, i) => ({
      bytes: Buffer.from(memory, i * CHUNK_BYTES, CHUNK_BYTES),
      users: 0,
    }));
  }

  /**
   * Opens a raw disk image; up to `maxHeld` blocks may be held at once. Throws `file.unreadable`,
   * `ami.image-invalid`.
   */
  static async open(path: string, maxHeld: number): Promise<ImageBlocks> {
    const handle = await open(path, 'r').catch((cause: unknown) => {
      throw unreadable(path, cause);
    });
    const stats = await handle.stat();
    try {
      if (!stats.isFile()) throw unreadable(path, new Error('it is not a regular file'));
      if (stats.size === 0 || stats.size > MAX_VOLUME_GIB * GIB)
        throw new ToolError('ami.image-invalid', { actual: `${stats.size} bytes in ${path}` });
      await checkBootRecord(path, handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
    const sparse = stats.blocks * 512 + WORTH_SKIPPING_BYTES < stats.size;
    const directHandle = sparse ? await openDirect(path) : undefined;
    if (directHandle === undefined)
      return new ImageBlocks(path, stats, { handle, direct: false }, maxHeld);
    await handle.close();
    return new ImageBlocks(path, stats, { handle: directHandle, direct: true }, maxHeld);
  }

  /** GiB that a volume needs for the image. */
  get volumeSizeGib(): number {
    return Math.ceil(this.identity.size / GIB);
  }

  /**
   * The next block that is not all zeros; undefined after the last one. Calls wait for each other.
   * Throws `file.unreadable`, `ami.image-changed`.
   */
  next(): Promise<ImageBlock | undefined> {
    const block = this.#turn.then(() => this.#take());
    this.#turn = block.catch(() => undefined);
    return block;
  }

  /** What CompleteSnapshot is told; only after the last block, and once. */
  summary(): BlockSummary {
    return { changedBlocks: this.#count, checksum: this.#linear.digest('base64') };
  }

  /** Throws `ami.image-changed` when the file was written or replaced since it was opened. */
  async checkUnchanged(): Promise<void> {
    const [now, there] = await Promise.all([this.#handle.stat(), stat(this.path)]).catch(
      (cause: unknown) => {
        throw unreadable(this.path, cause);
      },
    );
    const { size, mtimeMs } = this.identity;
    if (now.size !== size || now.mtimeMs !== mtimeMs || there.ino !== this.#inode)
      throw new ToolError('ami.image-changed', {
        actual: `${this.path} was written during the upload`,
      });
  }

  async close(): Promise<void> {
    await this.#turn;
    await this.#handle.close();
  }

  async #take(): Promise<ImageBlock | undefined> {
    while (this.#ready.length === 0) {
      if (this.#offset >= this.identity.size) return undefined;
      await this.#fill();
    }
    return this.#ready.shift();
  }

  /** Reads the next chunk, and lines up what of it is not all zeros. */
  async #fill(): Promise<void> {
    const chunk = this.#free.pop();
    if (chunk === undefined) throw new TypeError('more blocks are held than was said');
    const offset = this.#offset;
    await this.#read(chunk.bytes, offset);
    this.#offset += CHUNK_BYTES;
    for (let at = 0; at < CHUNK_BYTES; at += BLOCK_BYTES) {
      const bytes = chunk.bytes.subarray(at, at + BLOCK_BYTES);
      if (!bytes.equals(ZEROS))
        this.#ready.push(this.#block((offset + at) / BLOCK_BYTES, bytes, chunk));
    }
    if (chunk.users === 0) this.#free.push(chunk);
  }

  #block(index: number, bytes: Buffer, chunk: Chunk): ImageBlock {
    chunk.users++;
    const digest = createHash('sha256').update(bytes).digest();
    this.#count++;
    this.#linear.update(digest);
    return {
      ...{ index, digest, bytes },
      release: () => {
        if (--chunk.users === 0) this.#free.push(chunk);
      },
    };
  }

  async #read(bytes: Buffer, offset: number): Promise<void> {
    const want = Math.min(CHUNK_BYTES, this.identity.size - offset);
    for (let filled = 0; filled < want; ) {
      const bytesRead = await this.#readSome(bytes, filled, offset + filled);
      if (bytesRead === 0)
        throw new ToolError('ami.image-changed', { actual: `${this.path} became shorter` });
      filled += bytesRead;
    }
    bytes.fill(0, want);
  }

  async #readSome(bytes: Buffer, filled: number, position: number): Promise<number> {
    // Past the page cache only whole sectors can be read: also beyond the end.
    const read = (): Promise<number> =>
      this.#handle.read(bytes, filled, CHUNK_BYTES - filled, position).then((it) => it.bytesRead);
    try {
      return await read();
    } catch (cause) {
      if (!this.#direct) throw unreadable(this.path, cause);
    }
    // This file system cannot: through the page cache, then.
    await this.#handle.close();
    this.#direct = false;
    try {
      this.#handle = await open(this.path, 'r');
      return await read();
    } catch (cause) {
      throw unreadable(this.path, cause);
    }
  }
}

/** A volume that boots begins with a boot record; other formats and single files do not. */
async function checkBootRecord(path: string, handle: FileHandle): Promise<void> {
  const sector = Buffer.alloc(512);
  await handle.read(sector, 0, 512, 0).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if (sector[510] !== 0x55 || sector[511] !== 0xaa)
    throw new ToolError('ami.image-invalid', {
      expected: 'a raw disk image with a partition table',
      actual: sector.subarray(0, 3).toString('latin1') === 'QFI' ? `qcow2 in ${path}` : path,
      hint: 'Convert other formats first: qemu-img convert -O raw image.qcow2 image.raw',
    });
}

/**
 * Opened to read past the page cache: holes then cost nothing, where the cache would fill pages with
 * their zeros first. Undefined where the system has no such thing.
 */
async function openDirect(path: string): Promise<FileHandle | undefined> {
  const flag = constants.O_DIRECT as number | undefined;
  if (flag === undefined) return undefined;
  return open(path, constants.O_RDONLY | flag).catch(() => undefined);
}

function unreadable(path: string, cause: unknown): ToolError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ToolError('file.unreadable', { actual: `${path}: ${reason}`, cause });
}
