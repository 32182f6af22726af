import type { ByteSource } from 'tee-verify/measure';
import type { ToolCode } from '../../common/codes.js';
import { ToolError } from '../../common/tool-error.js';
import { readAt } from './read-at.js';

const CHUNK_BYTES = 1024 * 1024;

/** Whether there are only zeros. Compares with itself one byte on: native, faster than a loop. */
export function isZero(bytes: Uint8Array): boolean {
  if (bytes.length === 0) return true;
  const { buffer, byteOffset, length } = bytes;
  const from = Buffer.from(buffer, byteOffset, length);
  return from[0] === 0 && from.subarray(1).equals(from.subarray(0, -1));
}

/** Only zeros may stand from one offset to another. `what` names them. Throws an error with `code`. */
export async function checkZeros(
  source: ByteSource,
  [from, end]: readonly [from: number, end: number],
  what: string,
  code: ToolCode,
): Promise<void> {
  for (let at = from; at < end; at += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, end - at);
    if (!isZero(await readAt(source, at, length, what, code)))
      throw new ToolError(code, {
        expected: `zeros from offset ${from} to ${end}: ${what}`,
        actual: `data at ${at} or behind`,
      });
  }
}
