import { encodeHex, hexByte } from '../bytes/hex.js';
import { calendarMs } from '../bytes/rfc-3339.js';
import { reject } from '../result/attestation-error.js';
import type { CodeRow } from '../result/codes.js';

/** Universal tags used by certificates and signatures (X.690, 8). */
export const DER = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

/** One element: its tag, its contents, and the whole of it as it stood. */
export interface DerElement {
  readonly tag: number;
  readonly contents: Uint8Array;
  readonly encoded: Uint8Array;
}

/**
 * Strict DER (X.690, 10): definite minimal lengths, single-byte tags, nothing left over.
 * Written here because a lenient parser lets two verifiers read two certificates out of the same
 * bytes; it walks five certificates in microseconds. Every failure has the caller's code.
 */
export class DerReader {
  readonly bytes: Uint8Array;
  readonly #what: string;
  readonly #code: CodeRow;
  #at = 0;

  /** `what` names the structure in messages; `code` is given by every failure. */
  constructor(bytes: Uint8Array, what: string, code: CodeRow) {
    this.bytes = bytes;
    this.#what = what;
    this.#code = code;
  }

  /** Whether everything was read. */
  get done(): boolean {
    return this.#at === this.bytes.length;
  }

  /** The next element's tag, undefined at the end. */
  get nextTag(): number | undefined {
    return this.bytes[this.#at];
  }

  /** The next element, whatever its tag. */
  any(field: string): DerElement {
    const from = this.#at;
    const tag = this.#byte(field);
    if ((tag & 0x1f) === 0x1f) this.fail(field, 'a single-byte tag', hexByte(tag));
    const length = this.#length(field);
    if (length > this.bytes.length - this.#at)
      this.fail(field, `${length} bytes of contents`, `${this.bytes.length - this.#at} left`);
    const contents = this.bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return { tag, contents, encoded: this.bytes.subarray(from, this.#at) };
  }

  /** The next element, which must have this tag. */
  element(tag: number, field: string): DerElement {
    if (this.nextTag !== tag)
      this.fail(
        field,
        `tag ${hexByte(tag)}`,
        this.done ? 'the end' : `tag ${hexByte(this.nextTag as number)}`,
      );
    return this.any(field);
  }

  /** The next element when it has this tag. */
  optional(tag: number, field: string): DerElement | undefined {
    return this.nextTag === tag ? this.any(field) : undefined;
  }

  /** A reader over the contents of an element. */
  inside(element: DerElement, field: string): DerReader {
    return new DerReader(element.contents, `${this.#what} ${field}`, this.#code);
  }

  /** A reader over the contents of the SEQUENCE that must come next. */
  sequence(field: string): DerReader {
    return this.inside(this.element(DER.SEQUENCE, field), field);
  }

  /** Contents of an INTEGER in minimal two's complement form. */
  integer(field: string): Uint8Array {
    return this.#minimal(this.element(DER.INTEGER, field).contents, field);
  }

  /** A small non-negative INTEGER, at most `max`. */
  smallInteger(field: string, max: number): number {
    return this.smallIntegerOf(this.element(DER.INTEGER, field).contents, field, max);
  }

  /** The value of INTEGER contents (also under an implicit tag): 0..max. */
  smallIntegerOf(contents: Uint8Array, field: string, max: number): number {
    this.#minimal(contents, field);
    if ((contents[0] as number) & 0x80)
      this.fail(field, 'a non-negative INTEGER', encodeHex(contents));
    let value = 0;
    for (const byte of contents) value = value * 256 + byte; // grows past max, never wraps
    if (value > max) this.fail(field, `at most ${max}`, encodeHex(contents));
    return value;
  }

  /** Contents of an OBJECT IDENTIFIER as lower-case hex. */
  oid(field: string): string {
    const { contents } = this.element(DER.OID, field);
    // X.690, 8.19.2: no subidentifier starts with 0x80, and the last octet ends one.
    let fresh = true;
    for (const byte of contents) {
      if (fresh && byte === 0x80)
        this.fail(field, 'a minimal OBJECT IDENTIFIER', encodeHex(contents));
      fresh = byte < 0x80;
    }
    if (contents.length === 0 || !fresh)
      this.fail(field, 'a complete OBJECT IDENTIFIER', encodeHex(contents));
    return encodeHex(contents);
  }

  /** BOOLEAN: DER allows only 00 and FF (X.690, 11.1). */
  boolean(field: string): boolean {
    const { contents } = this.element(DER.BOOLEAN, field);
    if (contents.length !== 1 || (contents[0] !== 0 && contents[0] !== 0xff))
      this.fail(field, '00 or ff', encodeHex(contents));
    return contents[0] === 0xff;
  }

  octetString(field: string): Uint8Array {
    return this.element(DER.OCTET_STRING, field).contents;
  }

  /** A BIT STRING of whole bytes, as keys and signatures are. */
  bitStringOfBytes(field: string): Uint8Array {
    const { contents } = this.element(DER.BIT_STRING, field);
    if (contents[0] !== 0)
      this.fail(field, 'a BIT STRING of whole bytes', encodeHex(contents.subarray(0, 1)));
    return contents.subarray(1);
  }

  /** A named-bit list (X.690, 11.2.2: unused bits zero, no trailing zero bits), most significant bit first. */
  namedBits(field: string): Uint8Array {
    const { contents } = this.element(DER.BIT_STRING, field);
    const unused = contents[0];
    const bits = contents.subarray(1);
    const last = bits.at(-1);
    const wellFormed =
      unused !== undefined &&
      (last === undefined
        ? unused === 0
        : unused <= 7 && (last & ((1 << unused) - 1)) === 0 && (last & (1 << unused)) !== 0);
    if (!wellFormed) this.fail(field, 'a minimal named-bit BIT STRING', encodeHex(contents));
    return bits;
  }

  /** UTCTime or GeneralizedTime as milliseconds since the epoch (RFC 5280, 4.1.2.5). */
  time(field: string): number {
    const { tag, contents } = this.any(field);
    const utc = tag === DER.UTC_TIME;
    if (!utc && tag !== DER.GENERALIZED_TIME)
      this.fail(field, 'UTCTime or GeneralizedTime', hexByte(tag));
    const text = (): string => JSON.stringify(String.fromCharCode(...contents.subarray(0, 16)));
    const length = utc ? 13 : 15;
    // Digits, pair by pair; not a number for all else.
    const pairs: number[] = contents.length === length ? [] : [Number.NaN];
    for (let at = 0; at < length - 1; at += 2)
      pairs.push(twoDigits(contents[at] as number, contents[at + 1] as number));
    if (pairs.includes(Number.NaN) || contents[length - 1] !== 0x5a)
      this.fail(field, utc ? 'YYMMDDHHMMSSZ' : 'YYYYMMDDHHMMSSZ', text());
    const century = utc ? ((pairs[0] as number) < 50 ? 20 : 19) : (pairs.shift() as number);
    const year = century * 100 + (pairs[0] as number);
    if (!utc && year < 2050) this.fail(field, 'UTCTime before 2050', text());
    return (
      calendarMs([year, ...pairs.slice(1)]) ?? this.fail(field, 'a date of the calendar', text())
    );
  }

  /** Nothing may follow. */
  end(): void {
    if (!this.done) this.fail('end', 'nothing more', `${this.bytes.length - this.#at} more bytes`);
  }

  fail(field: string, expected: string, actual: string): never {
    reject(this.#code, `${this.#what} ${field}: ${expected}`, `${actual} (offset ${this.#at})`);
  }

  #byte(field: string): number {
    const byte = this.bytes[this.#at];
    if (byte === undefined) this.fail(field, 'an element', 'the end');
    this.#at++;
    return byte;
  }

  #length(field: string): number {
    const first = this.#byte(field);
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0) this.fail(field, 'a definite length', 'an indefinite one');
    if (count > 4) this.fail(field, 'a length of at most 4 bytes', `${count} bytes`);
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte(field);
    if (length < 0x80 || length < 256 ** (count - 1))
      this.fail(field, 'a minimal length', `${length} in ${count} bytes`);
    return length;
  }

  #minimal(contents: Uint8Array, field: string): Uint8Array {
    const [first, second] = contents;
    const wasteful =
      second !== undefined &&
      ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
    if (first === undefined || wasteful) this.fail(field, 'a minimal INTEGER', encodeHex(contents));
    return contents;
  }
}

/** The number that two ASCII digits write, NaN for anything else. */
function twoDigits(tens: number, ones: number): number {
  const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
  return isDigit(tens) && isDigit(ones) ? tens * 10 + ones - 528 : Number.NaN;
}
