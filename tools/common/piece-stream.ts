import type { ToolCode } from './codes.js';
import { ToolError } from './tool-error.js';

/** What is said when a stream is not as long as it should be. */
export interface StreamLimits {
  /** When it ends in the middle of what is read. */
  readonly truncated: ToolCode;
  /** When it holds more than `maxBytes`: a compressed one could grow without end. */
  readonly tooLarge?: { readonly code: ToolCode; readonly maxBytes: number };
}

/** Reads a stream in pieces of the sizes that an archive asks for. */
export class PieceStream {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #limits: StreamLimits;
  #chunk: Uint8Array = new Uint8Array();
  #arrived = 0;
  #offset = 0;

  constructor(chunks: AsyncIterable<Uint8Array>, limits: StreamLimits) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#limits = limits;
  }

  /** Where the next byte stands. */
  get offset(): number {
    return this.#offset;
  }

  /** Whether nothing is left. Throws `tooLarge`. */
  async ended(): Promise<boolean> {
    const { tooLarge } = this.#limits;
    while (this.#chunk.length === 0) {
      const { done = false, value } = await this.#chunks.next();
      if (done) return true;
      this.#chunk = value;
      this.#arrived += value.length;
      if (tooLarge !== undefined && this.#arrived > tooLarge.maxBytes)
        throw new ToolError(tooLarge.code, {
          expected: `at most ${tooLarge.maxBytes} bytes`,
          actual: 'more',
        });
    }
    return false;
  }

  /** Exactly these bytes, a few. Throws `truncated`, `tooLarge`. */
  async take(length: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const part of this.parts(length)) parts.push(part.slice());
    return Buffer.concat(parts);
  }

  /** The next `length` bytes as they come. Throws `truncated`, `tooLarge`. */
  async *parts(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0; ) {
      if (await this.ended())
        throw new ToolError(this.#limits.truncated, {
          expected: `${left} more bytes`,
          actual: `the end at offset ${this.#offset}`,
        });
      const part = this.#advance(Math.min(left, this.#chunk.length));
      left -= part.length;
      yield part;
    }
  }

  /** Skips bytes that are zero. */
  async skipZeros(): Promise<void> {
    while (!(await this.ended())) {
      const found = this.#chunk.findIndex((byte) => byte !== 0);
      this.#advance(found < 0 ? this.#chunk.length : found);
      if (found >= 0) return;
    }
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  #advance(length: number): Uint8Array {
    const part = this.#chunk.subarray(0, length);
    this.#chunk = this.#chunk.subarray(length);
    this.#offset += length;
    return part;
  }
}
