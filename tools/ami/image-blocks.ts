import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { type FileSource, withFiles } from '../common/file-source.js';
import { ToolError } from '../common/tool-error.js';
import { type ByteRange, findContentZeros, type ZerosToSend } from './content-zeros.js';
import { LinearChecksum } from './linear-checksum.js';
import {
  type ReadBlocksCounts,
  type ReadBlocksMessage,
  type ReadBlocksOptions,
  readBlocks,
} from './read-blocks.js';

/** Bytes of a block (EBS direct APIs). */
export const BLOCK_BYTES = 524_288;
/** Blocks that are read and hashed before anybody asks for them. */
const READ_AHEAD = 8;
const RELEASED_AT_ONCE = 2;
/** While one thread waits for the disk another hashes; where the page cache reads ahead one does. */
const DIRECT_READERS = 2;
/** What a thread reads in one go, before the part of another: a hole is shared by all. */
const STRIPE_BYTES = 8 * BLOCK_BYTES;
const WASM_PAGE_BYTES = 65_536;
const GIB = 1024 ** 3;
const MAX_VOLUME_GIB = 65_536;
/** A file with this much less on disk than its size has holes worth skipping. */
const WORTH_SKIPPING_BYTES = 16 * 1024 * 1024;

/** What an image must have in common with the one whose upload began. */
export interface ImageIdentity {
  readonly size: number;
  readonly mtimeMs: number;
}

/** A block that is to be sent. */
export interface ImageBlock {
  readonly index: number;
  /** SHA-256 of the block. */
  readonly digest: Uint8Array;
  /** Always a whole block: after the end of the image stand zeros. Not to be used after `release`. */
  readonly bytes: Uint8Array;
  /** Gives the memory back. */
  release(): void;
}

/** All blocks that are to be sent. */
export interface BlockSummary extends ReadBlocksCounts {
  /** Base64 SHA-256 over the blocks' digests in the order of their indices (LINEAR). */
  readonly checksum: string;
}

interface Waiting {
  readonly resolve: (block: ImageBlock | undefined) => void;
  readonly reject: (error: ToolError) => void;
}

/** Which blocks, and how. */
export interface BlocksToRead {
  /** Blocks that may be held at once. */
  readonly maxHeld: number;
  /** Default: no block of zeros is among them. */
  readonly zeros?: ZerosToSend | undefined;
  /** Each after all before it, which costs time with a sparse image. Default false. */
  readonly inOrder?: boolean;
}

/** A thread that fills slots of the memory. */
interface Reader {
  readonly worker: Worker;
  readonly released: number[];
}

/**
 * The blocks of an image, without zeros that no partition needs. Threads of their own read ahead
 * and hash, into memory that is taken once.
 */
export class ImageBlocks {
  readonly path: string;
  readonly identity: ImageIdentity;
  /** The data that is on disk: about what will be uploaded. */
  readonly allocatedBytes: number;
  /** Whether a partition table says which zeros are content. */
  readonly hasTable: boolean;
  readonly #inode: number;
  readonly #memory: SharedArrayBuffer;
  readonly #readers: readonly Reader[];
  readonly #checksum: LinearChecksum;
  readonly #counts: ReadBlocksCounts[] = [];
  readonly #ready: ImageBlock[] = [];
  readonly #waiting: Waiting[] = [];
  #summary: BlockSummary | undefined;
  #failure: ToolError | undefined;

  private constructor(
    path: string,
    stats: Stats,
    { maxHeld, inOrder = false }: BlocksToRead,
    contentZeros: readonly ByteRange[] | undefined,
  ) {
    this.path = path;
    this.hasTable = contentZeros !== undefined;
    this.identity = { size: stats.size, mtimeMs: stats.mtimeMs };
    this.allocatedBytes = Math.min(stats.size, stats.blocks * 512);
    this.#inode = stats.ino;
    // Holes then cost nothing, where the page cache would be filled with their zeros first.
    const direct = stats.blocks * 512 + WORTH_SKIPPING_BYTES < stats.size;
    const count = direct && !inOrder ? DIRECT_READERS : 1;
    // The memory of WebAssembly begins at a page, as reading past the page cache wants it.
    const slots = maxHeld + READ_AHEAD;
    const pages = (slots * BLOCK_BYTES) / WASM_PAGE_BYTES;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#memory = memory.buffer as unknown as SharedArrayBuffer;
    this.#checksum = new LinearChecksum(count);
    this.#readers = Array.from({ length: count }, (_, index) => {
      const workerData: ReadBlocksOptions = {
        ...{ path, size: stats.size, memory: this.#memory, blockBytes: BLOCK_BYTES, direct },
        stripe: { bytes: STRIPE_BYTES, count, index },
        keepZeros: contentZeros ?? [],
      };
      // Without --input-type=module, which the text is not.
      const worker = new Worker(WORKER, { eval: true, workerData, execArgv: [] });
      worker.on('message', (message: ReadBlocksMessage) => this.#take(index, message));
      worker.on('error', (cause) => this.#fail(unreadable(path, cause)));
      return { worker, released: [] };
    });
    for (let slot = 0; slot < slots; slot++) this.#readerOf(slot).released.push(slot);
    for (const { worker, released } of this.#readers) worker.postMessage(released.splice(0));
  }

  /**
   * Opens a raw disk image. Throws `file.unreadable`, `ami.image-invalid`.
   */
  static async open(path: string, which: BlocksToRead): Promise<ImageBlocks> {
    const { zeros } = which;
    // A pipe would keep us waiting for its writer.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK;
    const handle = await open(path, flags).catch((cause: unknown) => {
      throw unreadable(path, cause);
    });
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) throw unreadable(path, new Error('it is not a regular file'));
      if (stats.size === 0 || stats.size > MAX_VOLUME_GIB * GIB)
        throw new ToolError('ami.image-invalid', { actual: `${stats.size} bytes in ${path}` });
      await checkBootRecord(path, handle);
      const contentZeros =
        zeros === 'content'
          ? await withFiles([path], ([file]) => findContentZeros(file as FileSource))
          : [{ start: 0, end: zeros === 'all' ? stats.size : 0 }];
      return new ImageBlocks(path, stats, which, contentZeros);
    } finally {
      await handle.close();
    }
  }

  /** GiB that a volume needs for the image. */
  get volumeSizeGib(): number {
    return Math.ceil(this.identity.size / GIB);
  }

  /**
   * The next block that is to be sent; undefined after the last one. Throws `file.unreadable`,
   * `ami.image-changed`, and what `stop` was given.
   */
  async next(): Promise<ImageBlock | undefined> {
    const block = this.#ready.shift();
    if (block !== undefined) return block;
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#summary !== undefined) return undefined;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }

  /** What CompleteSnapshot is told; only after the last block. */
  get summary(): BlockSummary {
    if (this.#summary === undefined) throw new TypeError('not all blocks were read');
    return this.#summary;
  }

  /** Throws `ami.image-changed` when the file was written or replaced since it was opened. */
  async checkUnchanged(): Promise<void> {
    const now = await stat(this.path).catch((cause: unknown) => {
      throw unreadable(this.path, cause);
    });
    this.checkSame(now, now.ino);
  }

  /** Throws `ami.image-changed` unless what was seen of the file at another time is the same. */
  checkSame({ size, mtimeMs }: ImageIdentity, inode: number = this.#inode): void {
    const { identity } = this;
    if (size !== identity.size || mtimeMs !== identity.mtimeMs || inode !== this.#inode)
      throw new ToolError('ami.image-changed', {
        actual: `${this.path} was written during the upload`,
      });
  }

  /** Nothing more is wanted: also who waits while holes are skipped is told so. */
  stop(reason: ToolError): void {
    this.#fail(reason);
  }

  async close(): Promise<void> {
    await Promise.all(this.#readers.map(({ worker }) => worker.terminate()));
  }

  #take(reader: number, message: ReadBlocksMessage): void {
    if ('unreadable' in message) this.#fail(unreadable(this.path, message.unreadable));
    else if ('shorter' in message)
      this.#fail(new ToolError('ami.image-changed', { actual: `${this.path} became shorter` }));
    else if ('slot' in message) {
      const { slot, index, digest } = message;
      this.#checksum.add(reader, index, digest);
      const block: ImageBlock = {
        ...{ index, digest, bytes: Buffer.from(this.#memory, slot * BLOCK_BYTES, BLOCK_BYTES) },
        release: () => this.#release(slot),
      };
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#ready.push(block);
      else waiting.resolve(block);
    } else {
      this.#checksum.end(reader);
      this.#counts.push(message);
      if (this.#counts.length === this.#readers.length) this.#end();
    }
  }

  #end(): void {
    const sum = (name: keyof ReadBlocksCounts): number =>
      this.#counts.reduce((total, counts) => total + counts[name], 0);
    this.#summary = {
      changedBlocks: sum('changedBlocks'),
      zeroBlocksSent: sum('zeroBlocksSent'),
      zeroBlocksLeftOut: sum('zeroBlocksLeftOut'),
      checksum: this.#checksum.digest(),
    };
    for (const { resolve } of this.#waiting.splice(0)) resolve(undefined);
  }

  /** Each thread has slots of its own, so that none waits for what another one read. */
  #readerOf(slot: number): Reader {
    return this.#readers[slot % this.#readers.length] as Reader;
  }

  /** Several at once, since each message wakes the thread; it has others to read into meanwhile. */
  #release(slot: number): void {
    const { worker, released } = this.#readerOf(slot);
    released.push(slot);
    if (released.length >= RELEASED_AT_ONCE) worker.postMessage(released.splice(0));
  }

  #fail(error: ToolError): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}

/** A thread is started from text, so that the command stays one file wherever it is bundled to. */
const WORKER = `
const { parentPort, workerData } = require('node:worker_threads');
(${readBlocks.toString()})(parentPort, workerData, require('node:fs'), require('node:crypto').createHash);
`;

/** A volume that boots begins with a boot record; other formats and single files do not. */
async function checkBootRecord(path: string, handle: FileHandle): Promise<void> {
  const sector = Buffer.alloc(512);
  await handle.read(sector, 0, 512, 0).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if (sector[510] === 0x55 && sector[511] === 0xaa) return;
  throw new ToolError('ami.image-invalid', {
    expected: 'a raw disk image with a partition table',
    actual: sector.subarray(0, 3).toString('latin1') === 'QFI' ? `qcow2 in ${path}` : path,
    hint: 'Convert other formats first: qemu-img convert -O raw image.qcow2 image.raw',
  });
}

function unreadable(path: string, cause: unknown): ToolError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ToolError('file.unreadable', { actual: `${path}: ${reason}`, cause });
}
