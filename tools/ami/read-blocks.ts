import type { createHash as nodeCreateHash } from 'node:crypto';
import type * as nodeFs from 'node:fs';

/** What a reading thread is told at its start. */
export interface ReadBlocksOptions {
  readonly path: string;
  readonly size: number;
  /** Read past the page cache, where the file system can. */
  readonly direct: boolean;
  readonly memory: SharedArrayBuffer;
  /** Also of a slot of the memory. */
  readonly blockBytes: number;
  /** Of each `count` stripes this thread reads the one with `index`; others read the rest. */
  readonly stripe: { readonly bytes: number; readonly count: number; readonly index: number };
  /** Where blocks of zeros count as data: any block that a range touches. */
  readonly keepZeros: readonly { readonly start: number; readonly end: number }[];
}

/** What a reading thread counted. */
export interface ReadBlocksCounts {
  readonly changedBlocks: number;
  /** Of these, zeros. */
  readonly zeroBlocksSent: number;
  readonly zeroBlocksLeftOut: number;
}

/** What a reading thread says: a filled slot, that nothing is left, or why it cannot go on. */
export type ReadBlocksMessage =
  | { readonly slot: number; readonly index: number; readonly digest: Uint8Array }
  | ReadBlocksCounts
  | { readonly shorter: true }
  | { readonly unreadable: string };

interface Port {
  on(event: 'message', listener: (slots: readonly number[]) => void): unknown;
  postMessage(message: ReadBlocksMessage): void;
}

/**
 * Runs in a thread: fills each slot it is given with the next block that is to be sent, and
 * hashes it. Its source text is what runs there, so it must not use anything but its arguments.
 */
export function readBlocks(
  port: Port,
  options: ReadBlocksOptions,
  fs: Pick<typeof nodeFs, 'openSync' | 'readSync' | 'closeSync' | 'constants'>,
  createHash: typeof nodeCreateHash,
): void {
  const { path, size, memory, blockBytes, stripe } = options;
  const zeros = Buffer.alloc(blockBytes);
  let file = -1;
  let direct = false;
  let offset = stripe.index * stripe.bytes;
  let changedBlocks = 0;
  let zeroBlocksSent = 0;
  let zeroBlocksLeftOut = 0;

  function open(): void {
    if (options.direct)
      try {
        file = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECT);
        direct = true;
        return;
      } catch {
        // This file system cannot: through the page cache, then.
      }
    file = fs.openSync(path, 'r');
  }

  function readSome(bytes: Uint8Array, filled: number, position: number): number {
    // Past the page cache only whole sectors can be read: also beyond the end.
    const read = (): number => fs.readSync(file, bytes, filled, bytes.length - filled, position);
    if (!direct) return read();
    try {
      return read();
    } catch {
      fs.closeSync(file);
      direct = false;
      file = fs.openSync(path, 'r');
      return read();
    }
  }

  /** Whether the whole piece of the image was there. */
  function fill(bytes: Buffer): boolean {
    const want = Math.min(bytes.length, size - offset);
    for (let filled = 0; filled < want; ) {
      const got = readSome(bytes, filled, offset + filled);
      if (got === 0) return false;
      filled += got;
    }
    bytes.fill(0, want);
    return true;
  }

  function keepsZeros(): boolean {
    return options.keepZeros.some(({ start, end }) => start < offset + blockBytes && end > offset);
  }

  function advance(): void {
    offset += blockBytes;
    if (offset % stripe.bytes === 0) offset += (stripe.count - 1) * stripe.bytes;
  }

  function next(slot: number): ReadBlocksMessage {
    if (file < 0) open();
    const bytes = Buffer.from(memory, slot * blockBytes, blockBytes);
    for (; offset < size; advance()) {
      if (!fill(bytes)) return { shorter: true };
      if (bytes.equals(zeros)) {
        if (!keepsZeros()) {
          zeroBlocksLeftOut++;
          continue;
        }
        zeroBlocksSent++;
      }
      const digest = createHash('sha256').update(bytes).digest();
      changedBlocks++;
      const index = offset / blockBytes;
      advance();
      return { slot, index, digest: new Uint8Array(digest) };
    }
    return { changedBlocks, zeroBlocksSent, zeroBlocksLeftOut };
  }

  let ended = false;
  port.on('message', (slots) => {
    for (const slot of slots) {
      if (ended) return;
      let message: ReadBlocksMessage;
      try {
        message = next(slot);
      } catch (error) {
        message = { unreadable: error instanceof Error ? error.message : String(error) };
      }
      ended = !('slot' in message);
      port.postMessage(message);
    }
  });
}
