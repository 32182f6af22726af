import { ByteReader, type Bytes, ByteWriter } from 'tee-verify/bytes';
import type { NitroPki } from './nitro-pki.js';

/** Errors of the NSM API (`ErrorCode`). */
export const NSM_ERRORS = [
  'InvalidArgument',
  'InvalidIndex',
  'InvalidResponse',
  'ReadOnlyIndex',
  'InvalidOperation',
  'BufferTooSmall',
  'InputTooLarge',
  'InternalError',
] as const;
/** An error that the NSM can answer with (NSM API, ErrorCode). */
export type NsmErrorName = (typeof NSM_ERRORS)[number];

const MAX_FIELD_BYTES = 1024;
const CODES = { truncated: 'quote.malformed', trailing: 'quote.malformed' } as const;
const KEYS = ['user_data', 'nonce', 'public_key'] as const;
type Key = (typeof KEYS)[number];

/** Options of `SimulatedNsm`. */
export interface SimulatedNsmOptions {
  readonly pki: NitroPki;
  readonly moduleId: string;
  readonly now: () => Date;
}

/** Answers attestation requests with documents of the simulator's own PKI. */
export class SimulatedNsm {
  readonly moduleId: string;
  readonly #pki: NitroPki;
  readonly #now: () => Date;
  /** Errors to answer with before anything else, one for each request. */
  readonly pendingErrors: NsmErrorName[] = [];

  constructor({ pki, moduleId, now }: SimulatedNsmOptions) {
    this.#pki = pki;
    this.moduleId = moduleId;
    this.#now = now;
  }

  /** The CBOR answer to a CBOR request; what follows the request is ignored, as in the TPM. */
  async answer(request: Uint8Array, pcrs: ReadonlyMap<number, Uint8Array>): Promise<Bytes> {
    const forced = this.pendingErrors.shift();
    if (forced !== undefined) return errorAnswer(forced);
    const fields = readRequest(request);
    if (fields === undefined) return errorAnswer('InvalidOperation');
    for (const value of fields.values())
      if (value.length > MAX_FIELD_BYTES) return errorAnswer('InputTooLarge');
    const document = await this.#pki.issueDocument({
      platform: 'nitrotpm',
      moduleId: this.moduleId,
      timestampMs: this.#now().getTime(),
      pcrs,
      publicKey: fields.get('public_key'),
      userData: fields.get('user_data'),
      nonce: fields.get('nonce'),
    });
    const writer = new ByteWriter();
    writeMapOfOne(writer, 'Attestation');
    writeMapOfOne(writer, 'document');
    writeHead(writer, 0x40, document.length);
    return writer.bytes(document).finish();
  }
}

/** `{"Error": name}`. */
export function errorAnswer(name: NsmErrorName): Bytes {
  const writer = new ByteWriter();
  writeMapOfOne(writer, 'Error');
  writeText(writer, name);
  return writer.finish();
}

/** Reads `{"Attestation": {…}}`, strictly enough to notice a client that writes something else. */
function readRequest(bytes: Uint8Array): Map<Key, Uint8Array> | undefined {
  try {
    const reader = new ByteReader(bytes, 'NSM request', CODES);
    if (reader.u8('map') !== 0xa1 || readText(reader) !== 'Attestation') return undefined;
    const count = reader.u8('map') - 0xa0;
    if (count < 0 || count > KEYS.length) return undefined;
    const fields = new Map<Key, Uint8Array>();
    const seen = new Set<string>();
    for (let i = 0; i < count; i++) {
      const key = readText(reader);
      if (key === undefined || !KEYS.includes(key as Key) || seen.has(key)) return undefined;
      seen.add(key);
      const head = reader.u8('value');
      if (head === 0xf6) continue;
      const length = readLength(reader, head, 0x40);
      if (length === undefined) return undefined;
      fields.set(key as Key, reader.take(length, 'value'));
    }
    return fields;
  } catch (error) {
    if (error instanceof Error && error.name === 'AttestationError') return undefined;
    throw error;
  }
}

function readText(reader: ByteReader): string | undefined {
  const length = readLength(reader, reader.u8('text'), 0x60);
  return length === undefined
    ? undefined
    : String.fromCharCode(...reader.take(length, 'text').subarray(0, 64));
}

function readLength(reader: ByteReader, head: number, major: number): number | undefined {
  if ((head & 0xe0) !== major) return undefined;
  const info = head & 0x1f;
  if (info < 24) return info;
  if (info === 24) return reader.u8('length');
  return info === 25 ? reader.u16('length') : undefined;
}

function writeMapOfOne(writer: ByteWriter, key: string): void {
  writer.u8(0xa1);
  writeText(writer, key);
}

function writeText(writer: ByteWriter, text: string): void {
  writeHead(writer, 0x60, text.length);
  writer.bytes(new TextEncoder().encode(text));
}

function writeHead(writer: ByteWriter, major: number, value: number): void {
  if (value < 24) writer.u8(major | value);
  else if (value < 256) writer.u8(major | 24).u8(value);
  else writer.u8(major | 25).u16(value);
}
