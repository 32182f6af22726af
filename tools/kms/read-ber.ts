import { ToolError } from '../common/tool-error.js';

/** One element of BER: its identifier octet, and what is in it. */
export interface BerElement {
  readonly tag: number;
  /** Of a primitive element. */
  readonly contents: Uint8Array;
  /** Of a constructed element. */
  readonly children: readonly BerElement[] | undefined;
}

/** An envelope of the key service is 9 deep and has some 30 elements. */
const MAX_DEPTH = 16;
const MAX_ELEMENTS = 512;
const CONSTRUCTED = 0x20;

/**
 * Reads one BER element (X.690, 8) and nothing after it: single-byte tags, minimal definite
 * lengths, and indefinite ones where BER allows them. Depth and count are bounded, so nothing
 * nested can exhaust the stack.
 * @throws ToolError `cms.malformed`
 */
export function readBer(bytes: Uint8Array): BerElement {
  const reader = new BerReader(bytes);
  const element = reader.element(0);
  if (reader.at !== bytes.length)
    throw malformed('nothing after the element', `${bytes.length - reader.at} bytes`);
  return element;
}

class BerReader {
  at = 0;
  readonly #bytes: Uint8Array;
  #count = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  element(depth: number, end: number = this.#bytes.length): BerElement {
    if (depth > MAX_DEPTH) throw malformed(`at most ${MAX_DEPTH} levels`, 'more');
    if (++this.#count > MAX_ELEMENTS) throw malformed(`at most ${MAX_ELEMENTS} elements`, 'more');
    const tag = this.#byte(end);
    if ((tag & 0x1f) === 0x1f || tag === 0)
      throw malformed('a tag of one byte', `0x${tag.toString(16)} at offset ${this.at - 1}`);
    const isConstructed = (tag & CONSTRUCTED) !== 0;
    const length = this.#length(end);
    if (length === undefined) {
      if (!isConstructed)
        throw malformed('a length', `an indefinite one in a primitive element at ${this.at - 1}`);
      return { tag, contents: NONE, children: this.#untilEndOfContents(depth, end) };
    }
    if (length > end - this.at) throw malformed(`${length} bytes`, `${end - this.at} left`);
    const stop = this.at + length;
    if (!isConstructed) {
      const contents = this.#bytes.subarray(this.at, stop);
      this.at = stop;
      return { tag, contents, children: undefined };
    }
    const children: BerElement[] = [];
    while (this.at < stop) children.push(this.element(depth + 1, stop));
    return { tag, contents: NONE, children };
  }

  /** X.690, 8.1.5: two zero octets end it. */
  #untilEndOfContents(depth: number, end: number): BerElement[] {
    const children: BerElement[] = [];
    while (this.#bytes[this.at] !== 0 || this.at >= end)
      children.push(this.element(depth + 1, end));
    this.at++;
    if (this.#byte(end) !== 0) throw malformed('two zero octets', 'one, at the end of an element');
    return children;
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

const NONE: Uint8Array = new Uint8Array(0);

function malformed(expected: string, actual: string): ToolError {
  return new ToolError('cms.malformed', { expected, actual });
}
