import type { ByteSource } from 'tee-verify/measure';

const PIECE_BYTES = 64 * 1024;
const MAX_PIECES = 512;

/** A source whose small reads come from pieces that are kept: inodes stand close to each other. */
export function cachedSource(source: ByteSource): ByteSource {
  const pieces = new Map<number, Promise<Uint8Array>>();
  const piece = (index: number): Promise<Uint8Array> => {
    const kept =
      pieces.get(index) ?? Promise.resolve(source.read(index * PIECE_BYTES, PIECE_BYTES));
    // The least recently used one goes first.
    pieces.delete(index);
    pieces.set(index, kept);
    if (pieces.size > MAX_PIECES) pieces.delete(pieces.keys().next().value as number);
    return kept;
  };
  return {
    size: source.size,
    async read(offset, length) {
      if (length >= PIECE_BYTES) return source.read(offset, length);
      const first = Math.floor(offset / PIECE_BYTES);
      const inside = offset - first * PIECE_BYTES;
      const head = await piece(first);
      if (inside + length <= PIECE_BYTES) return head.slice(inside, inside + length);
      const tail = await piece(first + 1);
      const bytes = Buffer.concat([head.subarray(inside), tail]);
      return new Uint8Array(bytes.subarray(0, length));
    },
  };
}
