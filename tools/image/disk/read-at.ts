import type { ByteSource } from 'tee-verify/measure';
import type { ToolCode } from '../../common/codes.js';
import { ToolError } from '../../common/tool-error.js';

/** Exactly these bytes of a source, or an error with `code`. `what` names them in the message. */
export async function readAt(
  source: ByteSource,
  offset: number,
  length: number,
  what: string,
  code: ToolCode,
): Promise<Uint8Array> {
  const isInside = Number.isSafeInteger(offset) && offset >= 0 && offset + length <= source.size;
  const bytes = isInside ? await source.read(offset, length) : undefined;
  if (bytes?.length !== length)
    throw new ToolError(code, {
      expected: `${what}: ${length} bytes at offset ${offset}`,
      actual: isInside ? `${bytes?.length} bytes` : `the end at ${source.size}`,
    });
  return bytes;
}

/** A DataView over bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A part of a source as a source of its own. */
export function windowOf(source: ByteSource, offset: number, size: number): ByteSource {
  return {
    size,
    read: (at, length) => source.read(offset + at, Math.max(0, Math.min(length, size - at))),
  };
}
