import { type InflateRaw, inflateSync } from 'node:zlib';
import { zlibSync } from 'fflate';
import {
  asciiBytes,
  ByteReader,
  type Bytes,
  ByteWriter,
  concatBytes,
  copyBytes,
  decodeBase64,
  encodeBase64,
  equalBytes,
} from 'tee-verify/bytes';
import { formatGuid, guidBytes } from 'tee-verify/measure';
import type { ToolCode } from '../../common/codes.js';
import { ToolError } from '../../common/tool-error.js';
import { crc32c } from './crc32c.js';

/** One variable of an EC2 UEFI variable store. */
export interface StoredVariable {
  readonly name: string;
  /** The vendor's GUID as text, lower case. */
  readonly guid: string;
  /** EFI_VARIABLE_… bits (UEFI 2.10, 8.2). */
  readonly attributes: number;
  readonly data: Uint8Array;
  /** EFI_TIME of the last authenticated write, 16 bytes; only with attribute 0x20. Default: zeros. */
  readonly timestamp?: Uint8Array;
  /** SHA-256 of the certificate that may write it, 32 bytes; only with attribute 0x20. Default: zeros. */
  readonly digest?: Uint8Array;
}

/** EFI_VARIABLE_TIME_BASED_AUTHENTICATED_WRITE_ACCESS. */
export const TIME_BASED_AUTHENTICATED = 0x20;

const MAGIC = asciiBytes('AMZNUEFI');
const VERSION = 0;
const DIGEST_BYTES = 32;
const TIMESTAMP_BYTES = 16;
/** What RegisterImage takes as UefiData, in characters of base64. */
const MAX_TEXT_CHARACTERS = 64_000;
const MAX_INFLATED_BYTES = 1024 * 1024;
const MAX_VARIABLES = 1024;
const MAX_NAME_BYTES = 1024;
/** FDICT in the second byte, FLG, of a zlib stream (RFC 1950, 2.2). */
const PRESET_DICTIONARY = 0x20;

/**
 * The text of RegisterImage's UefiData for these variables, as `uefi_data.aws` holds it: base64 of
 * magic, CRC-32C, version and a zlib stream. The same variables give the same text.
 * @throws ToolError `uefi-data.limit-exceeded`, `uefi-data.malformed`
 */
export function encodeUefiData(variables: readonly StoredVariable[]): string {
  // fflate and not node:zlib, whose output changes with Node's version.
  const stream = zlibSync(encodeVariables(variables), { level: 9 });
  const body = concatBytes(new ByteWriter('little').u32(VERSION).finish(), stream);
  const sum = new ByteWriter('little').u32(crc32c(body)).finish();
  const text = encodeBase64(concatBytes(MAGIC, sum, body));
  if (text.length > MAX_TEXT_CHARACTERS)
    throw new ToolError('uefi-data.limit-exceeded', {
      expected: `at most ${MAX_TEXT_CHARACTERS} characters`,
      actual: `${text.length}`,
    });
  return text;
}

/**
 * Reads the text of a variable store, strictly; white space may follow it. EC2 compresses its own
 * stores with a preset `dictionary`, without which they cannot be read.
 * @throws ToolError `uefi-data.*`
 */
export function decodeUefiData(
  text: string,
  { dictionary }: { readonly dictionary?: Uint8Array } = {},
): StoredVariable[] {
  if (text.length > MAX_TEXT_CHARACTERS)
    fail('limit-exceeded', `at most ${MAX_TEXT_CHARACTERS} characters`, `${text.length}`);
  const bytes = decodeBase64(text.trimEnd());
  if (bytes === undefined) fail('malformed', 'base64', 'something else');
  const header = bytes.subarray(0, 16);
  if (header.length < 16 || !equalBytes(header.subarray(0, 8), MAGIC))
    fail('malformed', 'AMZNUEFI, a checksum and a version', `${bytes.length} bytes without them`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [sum, found] = [view.getUint32(8, true), crc32c(bytes.subarray(12))];
  if (sum !== found) fail('checksum', hex(found), hex(sum));
  const version = view.getUint32(12, true);
  if (version !== VERSION) fail('version', `${VERSION}`, `${version}`);
  return decodeVariables(inflate(bytes.subarray(16), dictionary));
}

function encodeVariables(variables: readonly StoredVariable[]): Bytes {
  if (variables.length > MAX_VARIABLES)
    fail('limit-exceeded', `at most ${MAX_VARIABLES} variables`, `${variables.length}`);
  const writer = new ByteWriter('little').u64(BigInt(variables.length));
  const sized = (bytes: Uint8Array): ByteWriter => writer.u64(BigInt(bytes.length)).bytes(bytes);
  for (const variable of variables) {
    const { name, guid, attributes, data, timestamp, digest } = variable;
    const nameBytes = new TextEncoder().encode(name);
    if (nameBytes.length === 0 || nameBytes.length > MAX_NAME_BYTES || hasLoneSurrogate(name))
      fail('malformed', `a name of 1 to ${MAX_NAME_BYTES} bytes`, `${nameBytes.length}`);
    sized(nameBytes);
    sized(data);
    writer.bytes(guidBytes(guid)).u32(attributes);
    const authenticated = (attributes & TIME_BASED_AUTHENTICATED) !== 0;
    if (!authenticated && (timestamp ?? digest) !== undefined)
      fail('malformed', `${name} with attribute 0x20`, hex(attributes));
    if (authenticated) {
      writer.bytes(fixed(timestamp, TIMESTAMP_BYTES, `timestamp of ${name}`));
      sized(fixed(digest, DIGEST_BYTES, `digest of ${name}`));
    }
  }
  return writer.finish();
}

function fixed(bytes: Uint8Array | undefined, length: number, what: string): Uint8Array {
  if (bytes !== undefined && bytes.length !== length)
    fail('malformed', `${what}: ${length} bytes`, `${bytes.length}`);
  return bytes ?? new Uint8Array(length);
}

/** UTF-8 has no lone surrogates: they would come back as another character. */
function hasLoneSurrogate(text: string): boolean {
  return [...text].some((character) => /^[\ud800-\udfff]$/.test(character));
}

function inflate(stream: Uint8Array, dictionary: Uint8Array | undefined): Uint8Array {
  const [method = 0, flags = 0] = stream;
  const isZlib = (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0;
  const needsDictionary = isZlib && (flags & PRESET_DICTIONARY) !== 0;
  if (needsDictionary && dictionary === undefined)
    throw new ToolError('uefi-data.dictionary-needed');
  try {
    const { buffer, engine } = inflateSync(stream, {
      maxOutputLength: MAX_INFLATED_BYTES,
      info: true,
      ...(dictionary === undefined ? {} : { dictionary }),
    }) as unknown as { buffer: Buffer; engine: InflateRaw };
    // zlib stops at the end of its stream and leaves what follows.
    if (engine.bytesWritten !== stream.length)
      fail(
        'malformed',
        'nothing after the zlib stream',
        `${stream.length - engine.bytesWritten} bytes`,
      );
    return buffer;
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    const code = (cause as { code?: unknown }).code;
    if (code === 'ERR_BUFFER_TOO_LARGE')
      fail('limit-exceeded', `at most ${MAX_INFLATED_BYTES} bytes of variables`, 'more');
    throw new ToolError('uefi-data.malformed', {
      expected: 'a zlib stream',
      actual: typeof code === 'string' ? code : 'something else',
      cause,
    });
  }
}

function decodeVariables(bytes: Uint8Array): StoredVariable[] {
  try {
    // The codes of tee-verify's table that the reader asks for; ours replaces them.
    const codes = { truncated: 'quote.malformed', trailing: 'quote.malformed' } as const;
    const reader: ByteReader = new ByteReader(bytes, 'variables', codes, 'little');
    const count = reader.u64('count');
    if (count > BigInt(MAX_VARIABLES))
      fail('limit-exceeded', `at most ${MAX_VARIABLES} variables`, `${count}`);
    const variables: StoredVariable[] = [];
    while (variables.length < Number(count)) variables.push(decodeVariable(reader));
    reader.end();
    return variables;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'AttestationError') throw error;
    const { expected, actual } = error as { expected?: string; actual?: string };
    fail('malformed', expected ?? 'variables', actual ?? 'something else');
  }
}

function decodeVariable(reader: ByteReader): StoredVariable {
  const name = utf8(sized(reader, 'name'));
  const data = copyBytes(sized(reader, 'data'));
  const guid = formatGuid(reader.take(16, 'GUID'));
  const attributes = reader.u32('attributes');
  if ((attributes & TIME_BASED_AUTHENTICATED) === 0) return { name, guid, attributes, data };
  const timestamp = copyBytes(reader.take(TIMESTAMP_BYTES, 'timestamp'));
  const digest = copyBytes(sized(reader, 'digest'));
  if (digest.length !== DIGEST_BYTES)
    fail('malformed', `digest of ${name}: ${DIGEST_BYTES} bytes`, `${digest.length}`);
  return { name, guid, attributes, data, timestamp, digest };
}

function sized(reader: ByteReader, field: string): Uint8Array {
  const length = reader.u64(`${field} length`);
  if (length > BigInt(reader.left))
    fail('malformed', `${field}: ${length} bytes`, `${reader.left} left`);
  return reader.take(Number(length), field);
}

function utf8(bytes: Uint8Array): string {
  if (bytes.length === 0 || bytes.length > MAX_NAME_BYTES)
    fail('malformed', `a name of 1 to ${MAX_NAME_BYTES} bytes`, `${bytes.length}`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return fail('malformed', 'a name in UTF-8', 'other bytes');
  }
}

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;

type Reason = ToolCode extends infer C ? (C extends `uefi-data.${infer R}` ? R : never) : never;

function fail(reason: Reason, expected: string, actual: string): never {
  throw new ToolError(`uefi-data.${reason}`, { expected, actual });
}
