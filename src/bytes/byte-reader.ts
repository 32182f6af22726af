import { reject } from '../result/attestation-error.js';
import type { CodeRow } from '../result/codes.js';

/** What a reader says when the bytes end early or go on too long. */
export interface ByteReaderCodes {
  /** Given when a read goes past the end. */
  readonly truncated: CodeRow;
  /** Given by `end()` when bytes are left. */
  readonly trailing: CodeRow;
}

/**
 * A bounded cursor over bytes. Every read checks the bounds first and throws an `AttestationError`
 * with the caller's code; nothing is copied, nothing is allocated by a declared length.
 */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly what: string;
  readonly #view: DataView;
  readonly #codes: ByteReaderCodes;
  readonly #littleEndian: boolean;
  #at = 0;

  /** `what` names the structure in messages, e.g. "TPMS_ATTEST". */
  constructor(
    bytes: Uint8Array,
    what: string,
    codes: ByteReaderCodes,
    endian: 'big' | 'little' = 'big',
  ) {
    this.bytes = bytes;
    this.what = what;
    this.#codes = codes;
    this.#littleEndian = endian === 'little';
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Offset of the next byte. */
  get offset(): number {
    return this.#at;
  }

  /** How many bytes are left. */
  get left(): number {
    return this.bytes.length - this.#at;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field));
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#take(2, field), this.#littleEndian);
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field), this.#littleEndian);
  }

  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), this.#littleEndian);
  }

  /** The next `length` bytes, as a view (not a copy). */
  take(length: number, field: string): Uint8Array {
    const from = this.#take(length, field);
    return this.bytes.subarray(from, from + length);
  }

  /** A byte string with a u16 length in front (TPM2B), at most `max` bytes. */
  sized16(field: string, max = 0xffff): Uint8Array {
    const length = this.u16(`${field} size`);
    if (length > max) this.fail(this.#codes.truncated, field, `at most ${max} bytes`, `${length}`);
    return this.take(length, field);
  }

  /** Nothing may follow. */
  end(): void {
    if (this.left !== 0)
      this.fail(
        this.#codes.trailing,
        'end',
        'nothing after the structure',
        `${this.left} more bytes`,
      );
  }

  /** Throws with the field's name and offset. */
  fail(code: CodeRow, field: string, expected: string, actual: string): never {
    reject(code, `${this.what} ${field}: ${expected}`, `${actual} (offset ${this.#at})`);
  }

  #take(length: number, field: string): number {
    if (!Number.isSafeInteger(length) || length < 0 || length > this.left)
      this.fail(this.#codes.truncated, field, `${length} bytes`, `${this.left} left`);
    const from = this.#at;
    this.#at += length;
    return from;
  }
}
