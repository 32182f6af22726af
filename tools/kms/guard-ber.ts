import { ToolError } from '../common/tool-error.js';

/** An envelope of the key service is 9 deep and has some 30 elements. */
export const MAX_BER_DEPTH = 16;
export const MAX_BER_ELEMENTS = 512;
const CONSTRUCTED = 0x20;

/**
 * Walks over one BER element (X.690, 8) before a library reads it: single-byte tags, minimal
 * definite lengths, and indefinite ones where BER allows them; nothing after the end. Depth and
 * count are bounded, so nothing nested can exhaust the stack. Returns how many elements there are,
 * so that the reader behind it can say whether it has seen them all.
 * @throws ToolError `cms.malformed`
 */
export function guardBer(bytes: Uint8Array): number {
  const walker = new BerWalker(bytes);
  walker.element(0, bytes.length);
  if (walker.at !== bytes.length)
    throw malformed('nothing after the element', `${bytes.length - walker.at} bytes`);
  return walker.count;
}

class BerWalker {
  at = 0;
  count = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  element(depth: number, end: number): void {
    if (depth > MAX_BER_DEPTH) throw malformed(`at most ${MAX_BER_DEPTH} levels`, 'more');
    if (++this.count > MAX_BER_ELEMENTS)
      throw malformed(`at most ${MAX_BER_ELEMENTS} elements`, 'more');
    const tag = this.#byte(end);
    if ((tag & 0x1f) === 0x1f || tag === 0)
      throw malformed('a tag of one byte', `0x${tag.toString(16)} at offset ${this.at - 1}`);
    const isConstructed = (tag & CONSTRUCTED) !== 0;
    const length = this.#length(end);
    if (length === undefined) {
      if (!isConstructed)
        throw malformed('a length', `an indefinite one in a primitive element at ${this.at - 1}`);
      this.#untilEndOfContents(depth, end);
      return;
    }
    if (length > end - this.at) throw malformed(`${length} bytes`, `${end - this.at} left`);
    const stop = this.at + length;
    if (!isConstructed) this.at = stop;
    while (this.at < stop) this.element(depth + 1, stop);
  }

  /** X.690, 8.1.5: two zero octets end it. */
  #untilEndOfContents(depth: number, end: number): void {
    while (this.#bytes[this.at] !== 0 || this.at >= end) this.element(depth + 1, end);
    this.at++;
    if (this.#byte(end) !== 0) throw malformed('two zero octets', 'one, at the end of an element');
  }

  /** Undefined when it is indefinite (X.690, 8.1.3). */
  #length(end: number): number | undefined {
    const first = this.#byte(end);
    if (first < 0x80) return first;
    if (first === 0x80) return undefined;
    const size = first & 0x7f;
    if (size > 3) throw malformed('a length of at most 3 bytes', `${size} bytes`);
    let length = 0;
    for (let i = 0; i < size; i++) length = length * 256 + this.#byte(end);
    if (length < 0x80 || length < 256 ** (size - 1))
      throw malformed('the shortest form of a length', `${length} in ${size} bytes`);
    return length;
  }

  #byte(end: number): number {
    if (this.at >= end) throw malformed('another byte', `the end at offset ${end}`);
    return this.#bytes[this.at++] as number;
  }
}

function malformed(expected: string, actual: string): ToolError {
  return new ToolError('cms.malformed', { expected, actual });
}
