import { ByteReader, type Bytes, ByteWriter } from 'tee-verify/bytes';
import type { ToolCode } from '../../common/codes.js';
import { ToolError } from '../../common/tool-error.js';

// The reader of tee-verify needs a code of its own table; readStructure replaces it.
const CODES = { truncated: 'quote.malformed', trailing: 'quote.malformed' } as const;

/**
 * Reads one whole TPM structure; nothing may follow it. Whatever the reader finds wrong becomes a
 * `ToolError` with `code` (default `tpm.structure-invalid`), the field and the offset.
 */
export function readStructure<T>(
  bytes: Uint8Array,
  what: string,
  read: (reader: ByteReader) => T,
  code: ToolCode = 'tpm.structure-invalid',
): T {
  try {
    const reader = new ByteReader(bytes, what, CODES);
    const value = read(reader);
    reader.end();
    return value;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'AttestationError') throw error;
    const { expected, actual } = error as { expected?: string; actual?: string };
    throw new ToolError(code, {
      ...(expected === undefined ? {} : { expected }),
      ...(actual === undefined ? {} : { actual }),
    });
  }
}

/** Refuses the field that was just read. */
export function refuse(reader: ByteReader, field: string, expected: string, actual: string): never {
  return reader.fail('quote.malformed', field, expected, actual);
}

/** Reads a list with a u32 count in front, at most `max` items. */
export function readList<T>(
  reader: ByteReader,
  field: string,
  max: number,
  read: (reader: ByteReader) => T,
): T[] {
  const count = reader.u32(`${field} count`);
  if (count > max) refuse(reader, field, `at most ${max} items`, `${count}`);
  return Array.from({ length: count }, () => read(reader));
}

/** Reads a structure inside a TPM2B: the size must be exactly that of the structure. */
export function readSized<T>(
  reader: ByteReader,
  field: string,
  read: (reader: ByteReader) => T,
): T {
  const bytes = reader.sized16(field);
  const inner = new ByteReader(bytes, `${reader.what} ${field}`, CODES);
  const value = read(inner);
  inner.end();
  return value;
}

/** The bytes that `write` writes. */
export function written(write: (writer: ByteWriter) => unknown): Bytes {
  const writer = new ByteWriter();
  write(writer);
  return writer.finish();
}

/** A number as hex with `digits` digits, for messages. */
export function hexNumber(value: number, digits = 4): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
