import { ToolError } from '../../common/tool-error.js';

/** Reads a stream in pieces of the sizes that an archive asks for. */
export class TarStream {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();
  #offset = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Where the next byte stands. */
  get offset(): number {
    return this.#offset;
  }

  /** Whether nothing is left. */
  async ended(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const { done = false, value } = await this.#chunks.next();
      if (done) return true;
      this.#chunk = value;
    }
    return false;
  }

  /** Exactly these bytes, a few. Throws `tar.malformed`. */
  async take(length: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const part of this.parts(length)) parts.push(part.slice());
    return Buffer.concat(parts);
  }

  /** The next `length` bytes as they come. Throws `tar.malformed`. */
  async *parts(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0; ) {
      if (await this.ended())
        throw new ToolError('tar.malformed', {
          expected: `${left} more bytes`,
          actual: `the end at offset ${this.#offset}`,
        });
      const part = this.#chunk.subarray(0, left);
      this.#chunk = this.#chunk.subarray(part.length);
      this.#offset += part.length;
      left -= part.length;
      yield part;
    }
  }

  /** Whether only zeros are left; stops at what is none. */
  async isZeroToEnd(): Promise<boolean> {
    while (!(await this.ended())) {
      if (this.#chunk.some((byte) => byte !== 0)) return false;
      this.#offset += this.#chunk.length;
      this.#chunk = new Uint8Array();
    }
    return true;
  }
}
