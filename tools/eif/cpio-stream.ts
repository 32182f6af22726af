import { ToolError } from '../common/tool-error.js';

/** Reads a stream in pieces of the sizes that a format asks for. */
export class CpioStream {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();
  #left: number;
  #done = 0;

  /** `maxBytes`: what the stream may hold at most; a compressed one could grow without end. */
  constructor(chunks: AsyncIterable<Uint8Array>, maxBytes: number) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#left = maxBytes;
  }

  /** How many bytes were read. */
  get offset(): number {
    return this.#done;
  }

  /** Whether nothing is left. */
  async ended(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const { done = false, value } = await this.#chunks.next();
      if (done) return true;
      this.#chunk = value;
      this.#left -= value.length;
      if (this.#left < 0)
        throw new ToolError('ramdisk.too-large', { actual: 'more bytes than --max-bytes allows' });
    }
    return false;
  }

  /** Exactly these bytes, a few. Throws `ramdisk.truncated`. */
  async take(length: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const part of this.parts(length)) parts.push(part.slice());
    return Buffer.concat(parts);
  }

  /** The next `length` bytes as they come. Throws `ramdisk.truncated`. */
  async *parts(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0; ) {
      if (await this.ended())
        throw new ToolError('ramdisk.truncated', {
          expected: `${left} more bytes`,
          actual: `the end at offset ${this.#done}`,
        });
      const part = this.#chunk.subarray(0, left);
      this.#chunk = this.#chunk.subarray(part.length);
      this.#done += part.length;
      left -= part.length;
      yield part;
    }
  }

  /** Skips bytes that are zero. */
  async skipZeros(): Promise<void> {
    while (!(await this.ended())) {
      const found = this.#chunk.findIndex((byte) => byte !== 0);
      const zeros = found < 0 ? this.#chunk.length : found;
      this.#chunk = this.#chunk.subarray(zeros);
      this.#done += zeros;
      if (found >= 0) return;
    }
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
