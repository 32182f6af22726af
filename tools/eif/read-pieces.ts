import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { ToolError } from '../common/tool-error.js';
import { reading } from './file-errors.js';

/**
 * Bytes piece by piece. A piece is only valid until the next one is asked for: whoever keeps it
 * copies it.
 */
export type Pieces = Iterable<Uint8Array>;

/** A part of a file: from an offset, with an exact length. */
export interface FilePart {
  readonly path: string | Buffer;
  readonly offset?: number;
  readonly sizeBytes: number;
  /** Refuse a symbolic link, and a file that is longer than this part. */
  readonly strict?: boolean;
}

const PIECE_BYTES = 1024 * 1024;

/**
 * The bytes of a file, at most 1 MiB at a time. Throws `file.unreadable`, and `build.input-changed`
 * when the file does not have the size it had.
 */
export function* readPieces({ path, offset = 0, sizeBytes, strict }: FilePart): Pieces {
  const name = path.toString();
  const flags = constants.O_RDONLY | (strict ? constants.O_NOFOLLOW : 0);
  const file = reading(name, () => openSync(path, flags));
  try {
    const stats = reading(name, () => fstatSync(file));
    if (strict && (!stats.isFile() || stats.size !== sizeBytes)) throw changed(name, sizeBytes);
    const buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, sizeBytes));
    for (let done = 0; done < sizeBytes; ) {
      const want = Math.min(buffer.length, sizeBytes - done);
      const got = reading(name, () => readSync(file, buffer, 0, want, offset + done));
      if (got === 0) throw changed(name, sizeBytes);
      yield buffer.subarray(0, got);
      done += got;
    }
  } finally {
    closeSync(file);
  }
}

function changed(name: string, sizeBytes: number): ToolError {
  return new ToolError('build.input-changed', {
    expected: `${name}: ${sizeBytes} bytes, as when the build began`,
    actual: 'another size or kind',
  });
}

/**
 * The same bytes in blocks of one size (the last one is shorter). Each block is its own only until
 * the one after the next: two buffers take turns, so that one can be written while the other fills.
 */
export function* toBlocks(pieces: Pieces, blockBytes: number): Pieces {
  const buffers = [new Uint8Array(blockBytes), new Uint8Array(blockBytes)];
  let turn = 0;
  let filled = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const block = buffers[turn] as Uint8Array;
      const part = piece.subarray(at, at + blockBytes - filled);
      block.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled === blockBytes) {
        yield block;
        turn = 1 - turn;
        filled = 0;
      }
    }
  }
  if (filled > 0) yield (buffers[turn] as Uint8Array).subarray(0, filled);
}
