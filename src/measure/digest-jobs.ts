import type { HashAlgorithm } from '../crypto/provider.js';
import { type ByteSource, readExactly } from './byte-source.js';
import type { CreateHasher, Hasher } from './hasher.js';

/** A part of what is hashed: bytes of the source, zeros, or bytes at hand. */
export type Piece =
  | { readonly offset: number; readonly length: number }
  | { readonly zeros: number }
  | { readonly bytes: Uint8Array };

/** One digest to compute over pieces in order. */
export interface DigestJob {
  readonly algorithm: HashAlgorithm;
  readonly pieces: readonly Piece[];
}

/** Computes several digests over one source. Node tools replace it by one that uses all cores. */
export type RunDigestJobs = (
  source: ByteSource,
  jobs: readonly DigestJob[],
) => Promise<Uint8Array[]>;

const CHUNK_BYTES = 1024 * 1024;
const ZEROS = new Uint8Array(64 * 1024);

/**
 * Computes the digests in one pass over the source where their pieces ascend: every byte is read
 * once however many digests it belongs to, and at most three chunks of 1 MiB are in memory.
 */
export async function runDigestJobs(
  source: ByteSource,
  jobs: readonly DigestJob[],
  createHasher: CreateHasher,
): Promise<Uint8Array[]> {
  const cursors = jobs.map((job) => new Cursor(job, createHasher(job.algorithm)));
  const load = (offset: number): Promise<Uint8Array> =>
    readExactly(source, offset, Math.min(CHUNK_BYTES, source.size - offset), 'contents');
  let ahead: { offset: number; chunk: Promise<Uint8Array> } | undefined;
  for (;;) {
    const offset = Math.min(...cursors.map((cursor) => cursor.wants));
    if (offset === Number.POSITIVE_INFINITY) break;
    const chunk = await (ahead?.offset === offset ? ahead.chunk : load(offset));
    // The next chunk is read while this one is hashed.
    const next = offset + chunk.length;
    const more = next < source.size && cursors.some((cursor) => cursor.continuesAt(next));
    ahead = more ? { offset: next, chunk: load(next) } : undefined;
    ahead?.chunk.catch(() => undefined); // reported when it is awaited
    for (const cursor of cursors) cursor.feed(offset, chunk);
  }
  return cursors.map((cursor) => cursor.digest());
}

/** How far one job has come. */
class Cursor {
  /** Offset of the next byte it needs; infinity when it needs none. */
  wants: number = Number.POSITIVE_INFINITY;
  readonly #pieces: readonly Piece[];
  readonly #hasher: Hasher;
  #piece = -1;
  #end = 0;

  constructor(job: DigestJob, hasher: Hasher) {
    this.#pieces = job.pieces;
    this.#hasher = hasher;
    this.#advance();
  }

  /** Whether it will need the byte at this offset, or one soon after. */
  continuesAt(offset: number): boolean {
    return this.wants < offset ? this.#end >= offset : this.wants < offset + CHUNK_BYTES;
  }

  /** Takes what it needs of a chunk that starts at this offset. */
  feed(offset: number, chunk: Uint8Array): void {
    const chunkEnd = offset + chunk.length;
    while (this.wants >= offset && this.wants < chunkEnd) {
      const to = Math.min(this.#end, chunkEnd);
      this.#hasher.update(chunk.subarray(this.wants - offset, to - offset));
      this.wants = to;
      if (to === this.#end) this.#advance();
    }
  }

  digest(): Uint8Array {
    return this.#hasher.digest();
  }

  /** Goes to the next piece of the source, hashing what lies between. */
  #advance(): void {
    for (;;) {
      const piece = this.#pieces[++this.#piece];
      if (piece === undefined) {
        this.wants = Number.POSITIVE_INFINITY;
        return;
      }
      if ('bytes' in piece) this.#hasher.update(piece.bytes);
      else if ('zeros' in piece)
        for (let left = piece.zeros; left > 0; left -= ZEROS.length)
          this.#hasher.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
      else if (piece.length > 0) {
        this.wants = piece.offset;
        this.#end = piece.offset + piece.length;
        return;
      }
    }
  }
}
