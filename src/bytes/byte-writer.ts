import type { Bytes } from './bytes.js';

/** Builds a byte string field by field; big-endian unless told otherwise. */
export class ByteWriter {
  #buffer: Bytes = new Uint8Array(256);
  #view: DataView = new DataView(this.#buffer.buffer);
  #length = 0;
  readonly #littleEndian: boolean;

  constructor(endian: 'big' | 'little' = 'big') {
    this.#littleEndian = endian === 'little';
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value, this.#littleEndian);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, this.#littleEndian);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value, this.#littleEndian);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  /** A byte string with a u16 length in front (TPM2B). */
  sized16(value: Uint8Array): this {
    if (value.length > 0xffff) throw new RangeError('a TPM2B holds at most 65535 bytes');
    return this.u16(value.length).bytes(value);
  }

  /** A copy of what was written so far. */
  finish(): Bytes {
    return this.#buffer.slice(0, this.#length);
  }

  /** Makes room; replaces the view, so it must be called before the view is looked at. */
  #grow(by: number): number {
    const at = this.#length;
    this.#length += by;
    if (this.#length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#buffer.length * 2));
      larger.set(this.#buffer);
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}
