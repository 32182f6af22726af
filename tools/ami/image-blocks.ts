import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { type FileSource, withFiles } from '../common/file-source.js';
import { ToolError } from '../common/tool-error.js';
import { type ByteRange, findContentZeros, type ZerosToSend } from './content-zeros.js';
import { type ReadBlocksMessage, type ReadBlocksOptions, readBlocks } from './read-blocks.js';

/** Bytes of a block (EBS direct APIs). */
export const BLOCK_BYTES = 524_288;
/** Blocks that are read and hashed before anybody asks for them. */
const READ_AHEAD = 8;
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
export interface BlockSummary {
  readonly changedBlocks: number;
  /** Of these, zeros. */
  readonly zeroBlocksSent: number;
  readonly zeroBlocksLeftOut: number;
  /** Base64 SHA-256 over the blocks' digests in the order of their indices (LINEAR). */
  readonly checksum: string;
}

interface Waiting {
  readonly resolve: (block: ImageBlock | undefined) => void;
  readonly reject: (error: ToolError) => void;
}

/**
 * The blocks of an image in their order, without zeros that no partition needs. A thread of its own reads
 * ahead and hashes, into memory that is taken once.
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
  readonly #worker: Worker;
  readonly #ready: ImageBlock[] = [];
  readonly #released: number[] = [];
  readonly #waiting: Waiting[] = [];
  #summary: BlockSummary | undefined;
  #failure: ToolError | undefined;

  private constructor(
    path: string,
    stats: Stats,
    maxHeld: number,
    contentZeros: readonly ByteRange[] | undefined,
  ) {
    this.path = path;
    this.hasTable = contentZeros !== undefined;
    this.identity = { size: stats.size, mtimeMs: stats.mtimeMs };
    this.allocatedBytes = Math.min(stats.size, stats.blocks * 512);
    this.#inode = stats.ino;
    // The memory of WebAssembly begins at a page, as reading past the page cache wants it.
    const slots = maxHeld + READ_AHEAD;
    const pages = (slots * BLOCK_BYTES) / WASM_PAGE_BYTES;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#memory = memory.buffer as unknown as SharedArrayBuffer;
    const workerData: ReadBlocksOptions = {
      ...{ path, size: stats.size, memory: this.#memory, blockBytes: BLOCK_BYTES },
      keepZeros: contentZeros ?? [],
      // Holes then cost nothing, where the page cache would be filled with their zeros first.
      direct: stats.blocks * 512 + WORTH_SKIPPING_BYTES < stats.size,
    };
    // Without --input-type=module, which the text is not.
    this.#worker = new Worker(WORKER, { eval: true, workerData, execArgv: [] });
    this.#worker.on('message', (message: ReadBlocksMessage) => this.#take(message));
    this.#worker.on('error', (cause) => this.#fail(unreadable(path, cause)));
    this.#worker.postMessage(Array.from({ length: slots }, (_, slot) => slot));
  }

  /**
   * Opens a raw disk image; up to `maxHeld` blocks may be held at once. Without `zeros`, no block of
   * zeros is among them. Throws `file.unreadable`, `ami.image-invalid`.
   */
  static async open(path: string, maxHeld: number, zeros?: ZerosToSend): Promise<ImageBlocks> {
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
      return new ImageBlocks(path, stats, maxHeld, contentZeros);
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
    await this.#worker.terminate();
  }

  #take(message: ReadBlocksMessage): void {
    if ('unreadable' in message) this.#fail(unreadable(this.path, message.unreadable));
    else if ('shorter' in message)
      this.#fail(new ToolError('ami.image-changed', { actual: `${this.path} became shorter` }));
    else if ('slot' in message) {
      const { slot, index, digest } = message;
      const block: ImageBlock = {
        ...{ index, digest, bytes: Buffer.from(this.#memory, slot * BLOCK_BYTES, BLOCK_BYTES) },
        release: () => this.#release(slot),
      };
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#ready.push(block);
      else waiting.resolve(block);
    } else {
      this.#summary = message;
      for (const { resolve } of this.#waiting.splice(0)) resolve(undefined);
    }
  }

  /** Several at once, since each message wakes the thread; it has others to read into meanwhile. */
  #release(slot: number): void {
    this.#released.push(slot);
    if (this.#released.length >= READ_AHEAD / 2) this.#worker.postMessage(this.#released.splice(0));
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
