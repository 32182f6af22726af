import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { ToolError } from '../common/tool-error.js';
import { reading } from './file-errors.js';

/**
 * Bytes piece by piece. A piece only stays as it is until the one after the next is asked for (so
 * that one can be written while the next is read): whoever keeps it copies it.
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
/** From here on copying costs more than another write. */
const LARGE_BYTES = 256 * 1024;

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
    const make = (): Buffer => Buffer.allocUnsafe(Math.min(PIECE_BYTES, sizeBytes));
    let buffer = make();
    let other: Buffer | undefined;
    for (let done = 0; done < sizeBytes; ) {
      const want = Math.min(buffer.length, sizeBytes - done);
      const got = reading(name, () => readSync(file, buffer, 0, want, offset + done));
      if (got === 0) throw changed(name, sizeBytes);
      yield buffer.subarray(0, got);
      done += got;
      if (done < sizeBytes) [buffer, other] = [other ?? make(), buffer];
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

/** The same bytes in blocks of one size (the last one is shorter). */
export function toBlocks(pieces: Pieces, blockBytes: number): Pieces {
  return gather(pieces, blockBytes, Number.POSITIVE_INFINITY);
}

/** The same bytes, small pieces joined to larger ones; large ones pass without being copied. */
export function joinSmall(pieces: Pieces): Pieces {
  return gather(pieces, PIECE_BYTES, LARGE_BYTES);
}

function* gather(pieces: Pieces, blockBytes: number, largeBytes: number): Pieces {
  // Two buffers take turns, as `Pieces` demands.
  const buffers = [new Uint8Array(blockBytes), new Uint8Array(blockBytes)];
  let turn = 0;
  let filled = 0;
  for (const piece of pieces) {
    if (piece.length >= largeBytes) {
      if (filled > 0) yield (buffers[turn] as Uint8Array).subarray(0, filled);
      if (filled > 0) turn = 1 - turn;
      filled = 0;
      yield piece;
      continue;
    }
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
