import type { MaybePromise } from '../crypto/flow.js';
import { reject } from '../result/attestation-error.js';
import type { CodeFacts } from '../result/codes.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';

/**
 * Bytes that can be read in parts, so that a UKI of 500 MB needs no 500 MB of memory. `read` gives
 * exactly `length` bytes unless the end comes first. What it gives must not change afterwards, and
 * the source must not change while it is measured.
 */
export interface ByteSource {
  /** Size in bytes. */
  readonly size: number;
  read(offset: number, length: number): MaybePromise<Uint8Array>;
}

/** Bytes in memory as a source; views, not copies: don't change them while they are measured. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  };
}

/** A Blob or a File of a page as a source; only the parts asked for come into memory. */
export function blobSource(blob: Blob): ByteSource {
  return {
    size: blob.size,
    read: async (offset, length) =>
      new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}

/** Exactly these bytes, or an error with `code`. `what` names them in the message. */
export async function readExactly(
  source: ByteSource,
  offset: number,
  length: number,
  what: string,
  code: CodeFacts = MEASUREMENT_CODES['pe.truncated'],
): Promise<Uint8Array> {
  const inside = Number.isSafeInteger(offset) && offset >= 0 && offset + length <= source.size;
  const bytes = inside ? await source.read(offset, length) : undefined;
  if (bytes?.length !== length)
    reject(
      code,
      `${what}: ${length} bytes at offset ${offset}`,
      inside ? `${bytes?.length} bytes` : `a file of ${source.size} bytes`,
    );
  return bytes;
}
