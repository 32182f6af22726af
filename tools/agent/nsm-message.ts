import { asciiBytes, type Bytes, ByteWriter, copyBytes } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';

/** What goes into an attestation document besides the measurements; each at most 1024 bytes. */
export interface NsmRequest {
  readonly userData?: Uint8Array | undefined;
  readonly nonce?: Uint8Array | undefined;
  readonly publicKey?: Uint8Array | undefined;
}

/** The answer of the Nitro Security Module. */
export type NsmResponse = { readonly document: Bytes } | { readonly error: string };

const MAJOR_BYTES = 0x40;
const MAJOR_TEXT = 0x60;
const MAJOR_MAP = 0xa0;

/**
 * The CBOR of an attestation request (NSM API, `Request::Attestation`):
 * `{"Attestation": {"user_data": …, "nonce": …, "public_key": …}}`, null for what is absent.
 */
export function encodeNsmRequest(request: NsmRequest): Bytes {
  const writer = new ByteWriter();
  writeHead(writer, MAJOR_MAP, 1);
  writeText(writer, 'Attestation');
  writeHead(writer, MAJOR_MAP, 3);
  for (const [key, value] of [
    ['user_data', request.userData],
    ['nonce', request.nonce],
    ['public_key', request.publicKey],
  ] as const) {
    writeText(writer, key);
    if (value === undefined) writer.u8(0xf6);
    else {
      writeHead(writer, MAJOR_BYTES, value.length);
      writer.bytes(value);
    }
  }
  return writer.finish();
}

/**
 * Reads the answer from the start of `bytes`; what follows it is padding of the NV index.
 * Undefined when the answer goes on after the bytes given.
 * @throws ToolError `attest.nsm-response-malformed`
 */
export function decodeNsmResponse(bytes: Uint8Array): NsmResponse | undefined {
  try {
    return new ResponseReader(bytes).response();
  } catch (error) {
    if (error === INCOMPLETE) return undefined;
    throw error;
  }
}

const INCOMPLETE = Symbol('the answer goes on');

/** Reads exactly the two answers; maps may be definite or indefinite, strings are definite. */
class ResponseReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  response(): NsmResponse {
    const endOuter = this.#map(1);
    const key = this.#text();
    let answer: NsmResponse;
    if (key === 'Attestation') {
      const endInner = this.#map(1);
      const inner = this.#text();
      if (inner !== 'document') this.#fail('the key "document"', JSON.stringify(inner));
      answer = { document: copyBytes(this.#string(MAJOR_BYTES, 'a byte string')) };
      endInner();
    } else if (key === 'Error') {
      answer = { error: this.#text() };
    } else {
      this.#fail('the key "Attestation" or "Error"', JSON.stringify(key));
    }
    endOuter();
    return answer;
  }

  /** Reads the start of a map with `size` entries; the result reads its end. */
  #map(size: number): () => void {
    const head = this.#byte();
    if (head === (MAJOR_MAP | size)) return () => undefined;
    if (head !== 0xbf) this.#fail(`a map of ${size}`, `0x${head.toString(16)}`);
    return () => {
      const end = this.#byte();
      if (end !== 0xff) this.#fail('the end of a map', `0x${end.toString(16)}`);
    };
  }

  #text(): string {
    const bytes = this.#string(MAJOR_TEXT, 'a text');
    for (const byte of bytes)
      if (byte < 0x20 || byte > 0x7e) this.#fail('a text in ASCII', `0x${byte.toString(16)}`);
    return String.fromCharCode(...bytes.subarray(0, 64));
  }

  #string(major: number, what: string): Uint8Array {
    const head = this.#byte();
    if ((head & 0xe0) !== major) this.#fail(what, `0x${head.toString(16)}`);
    const info = head & 0x1f;
    let length = info;
    if (info === 24) length = this.#byte();
    else if (info === 25) length = this.#byte() * 256 + this.#byte();
    else if (info > 25) this.#fail(`${what} of at most 65535 bytes`, `0x${head.toString(16)}`);
    if (length > this.#bytes.length - this.#at) throw INCOMPLETE;
    const from = this.#at;
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw INCOMPLETE;
    return byte;
  }

  #fail(expected: string, actual: string): never {
    throw new ToolError('attest.nsm-response-malformed', {
      expected,
      actual: `${actual} (offset ${this.#at})`,
    });
  }
}

function writeText(writer: ByteWriter, text: string): void {
  writeHead(writer, MAJOR_TEXT, text.length);
  writer.bytes(asciiBytes(text));
}

function writeHead(writer: ByteWriter, major: number, value: number): void {
  if (value < 24) writer.u8(major | value);
  else if (value < 256) writer.u8(major | 24).u8(value);
  else writer.u8(major | 25).u16(value);
}
