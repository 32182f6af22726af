import { Gzip } from 'fflate';
import { type Pieces, toBlocks } from './read-pieces.js';

/** The blocks handed to the compressor: its output depends on their size. */
const BLOCK_BYTES = 64 * 1024;
const LEVEL = 6;

/**
 * Compresses with a deflate in plain JavaScript: zlib's bytes differ between processors and between
 * versions of Node, these don't. No time, no name.
 */
export function* gzipPieces(pieces: Pieces): Pieces {
  let out: Uint8Array[] = [];
  const gzip = new Gzip({ level: LEVEL, mtime: 0 }, (chunk) => out.push(chunk));
  for (const block of toBlocks(pieces, BLOCK_BYTES)) {
    gzip.push(block.slice());
    yield* out;
    out = [];
  }
  gzip.push(new Uint8Array(), true);
  yield* out;
}
