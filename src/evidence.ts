import { decodeBase64 } from './bytes/base64.js';
import { asBytes, type Bytes, copyBytes } from './bytes/bytes.js';
import { decodeHex } from './bytes/hex.js';
import { AttestationError, reject } from './result/attestation-error.js';
import type { Note } from './result/note.js';
import type { UnverifiedQuote } from './tpm/quote.js';

/**
 * Evidence in any accepted form: the COSE document (bytes, or base64, base64url or hex text), or a
 * bundle (JSON text, its bytes, or the parsed object).
 */
export type EvidenceInput = string | Uint8Array | ArrayBuffer | object;

/** What the sender wrote beside the signed bytes: only ever compared with them. */
export interface SenderClaims {
  readonly pcrs: ReadonlyMap<number, Bytes> | undefined;
  /** Field name and value. */
  readonly nonces: readonly (readonly [field: string, value: Bytes])[];
  readonly publicKeys: readonly (readonly [field: string, value: Bytes])[];
}

/** Evidence as bytes in fixed fields; nothing of it is proven. */
export interface UnverifiedEvidence {
  /** A bare document, the bundle of the seed's form, or its later form (docs/bundle.md). */
  readonly form: 'document' | 'bundle-seed' | 'bundle-later';
  /** The COSE_Sign1 document. */
  readonly document: Bytes;
  readonly quote: UnverifiedQuote | undefined;
  readonly claims: SenderClaims;
  /** TCG event log (binary_bios_measurements). */
  readonly eventLog: Bytes | undefined;
}

const MAX_BUNDLE_BYTES = 1_048_576;
const MAX_DOCUMENT_BYTES = 65_536;
/** Hex of the largest document, with room for line ends. */
const MAX_DOCUMENT_CHARACTERS = 200_000;
/** Base64 of half a MiB: real logs have 5 to 100 KB. */
const MAX_EVENT_LOG_CHARACTERS = 700_000;
const MAX_ATTEST_BYTES = 1024;
const MAX_SIGNATURE_BYTES = 256;
const MAX_NONCE_BYTES = 1024;
const MAX_PUBLIC_BYTES = 1024;
const POINT_COORDINATE_BYTES = 32;
const PCR_BYTES = 48;

/** First byte of a COSE_Sign1: an array of four, or the tag 18 in front of it. */
const COSE_FIRST_BYTES: readonly (number | undefined)[] = [0x84, 0x9f, 0xd2];

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Recognizes the evidence and copies it into fixed fields. Sizes are capped before anything is
 * parsed: 1 MiB for a bundle, 64 KiB for a document. Throws `evidence.*`.
 */
export function parseEvidence(input: EvidenceInput, note: Note): UnverifiedEvidence {
  if (typeof input === 'string') return parseText(input, note);
  const bytes = asBytes(input);
  if (bytes !== undefined) return parseBytes(bytes, note);
  if (typeof input !== 'object' || input === null)
    throw unrecognized(input === null ? 'null' : `a value of type ${typeof input}`);
  return parseBundle(object(input, 'bundle'), note);
}

function parseBytes(bytes: Uint8Array, note: Note): UnverifiedEvidence {
  if (bytes.length === 0) throw new AttestationError('evidence.empty');
  if (COSE_FIRST_BYTES.includes(bytes[0])) return parseDocument(bytes, note);
  if (bytes.length > MAX_BUNDLE_BYTES) tooLarge(MAX_BUNDLE_BYTES, bytes.length);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw unrecognized('bytes that are neither COSE nor text', cause);
  }
  return parseText(text, note);
}

function parseText(untrimmed: string, note: Note): UnverifiedEvidence {
  if (untrimmed.length > 2 * MAX_BUNDLE_BYTES) tooLarge(MAX_BUNDLE_BYTES, untrimmed.length);
  const text = untrimmed.trim();
  if (text === '') throw new AttestationError('evidence.empty');
  if (text.startsWith('{')) {
    if (untrimmed.length > MAX_BUNDLE_BYTES) tooLarge(MAX_BUNDLE_BYTES, untrimmed.length);
    return parseBundle(object(parseJson(text), 'bundle'), note);
  }
  if (text.length > MAX_DOCUMENT_CHARACTERS) tooLarge(MAX_DOCUMENT_BYTES, text.length);
  // base64 wraps its lines; nothing else between the digits is allowed.
  const compact = text.replace(/[\r\n\t ]+/g, '');
  const bytes = firstCose(decodeHex(compact), decodeBase64(compact));
  if (bytes === undefined) throw unrecognized(`text starting ${JSON.stringify(text.slice(0, 24))}`);
  return parseDocument(bytes, note);
}

/** No text is a COSE document both in hex and in base64: hex 84 is f3 38 in base64. */
function firstCose(...candidates: readonly (Bytes | undefined)[]): Bytes | undefined {
  return candidates.find((bytes) => bytes !== undefined && COSE_FIRST_BYTES.includes(bytes[0]));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AttestationError('evidence.json-invalid', {
      expected: 'JSON',
      actual: `text starting ${JSON.stringify(text.slice(0, 24))}`,
      cause,
    });
  }
}

function parseDocument(bytes: Uint8Array, note: Note): UnverifiedEvidence {
  if (bytes.length > MAX_DOCUMENT_BYTES) tooLarge(MAX_DOCUMENT_BYTES, bytes.length);
  note(`bare document, ${bytes.length} bytes`);
  return {
    form: 'document',
    document: copyBytes(bytes),
    quote: undefined,
    claims: { pcrs: undefined, nonces: [], publicKeys: [] },
    eventLog: undefined,
  };
}

/** The two forms of a bundle (docs/bundle.md). */
function parseBundle(bundle: JsonObject, note: Note): UnverifiedEvidence {
  if (!Object.hasOwn(bundle, 'attestation'))
    throw unrecognized(
      `an object with ${Object.keys(bundle).slice(0, 8).join(', ') || 'no fields'}`,
    );
  const attestation = object(bundle.attestation, 'attestation');
  const foreign = Object.keys(attestation).filter((key) => key !== 'nitro' && key !== 'tpm');
  if (foreign.length > 0)
    reject(
      'evidence.platform-unsupported',
      'attestation.nitro and attestation.tpm',
      foreign
        .slice(0, 8)
        .map((key) => `attestation.${key.slice(0, 32)}`)
        .join(', '),
    );
  if (bundle.version !== undefined && bundle.version !== 1)
    invalid('version', '1', kindOf(bundle.version));

  const nitro = object(attestation.nitro, 'attestation.nitro');
  const document = hex(nitro, 'document', 'attestation.nitro', MAX_DOCUMENT_BYTES);
  if (document === undefined) missing('attestation.nitro.document');
  const tpm = isAbsent(attestation.tpm) ? undefined : object(attestation.tpm, 'attestation.tpm');
  const quoteJson = tpm && object(tpm.ecc_p256, 'attestation.tpm.ecc_p256');
  const isLater = Object.hasOwn(bundle, 'ak_pubkeys');
  const keysField = isLater ? 'ak_pubkeys' : 'signing_key_public_keys';
  const quote = quoteJson && readQuote(quoteJson, bundle[keysField], keysField);

  const nonces = present([
    ['nonce', hex(bundle, 'nonce', '', MAX_NONCE_BYTES)],
    ['attestation.nitro.nonce', hex(nitro, 'nonce', 'attestation.nitro', MAX_NONCE_BYTES)],
    [
      'attestation.tpm.ecc_p256.nonce',
      quoteJson && hex(quoteJson, 'nonce', 'attestation.tpm.ecc_p256', MAX_NONCE_BYTES),
    ],
  ]);
  const publicKeys = present([
    [
      'attestation.nitro.public_key',
      hex(nitro, 'public_key', 'attestation.nitro', MAX_PUBLIC_BYTES),
    ],
  ]);
  const form = isLater ? 'bundle-later' : 'bundle-seed';
  note(
    `bundle (${isLater ? 'later' : 'seed'} form)${quote === undefined ? ' without quote' : ' with TPM quote'}`,
  );
  return {
    form,
    document,
    quote,
    claims: { pcrs: readPcrs(bundle.pcrs), nonces, publicKeys },
    eventLog: readEventLog(bundle.event_log),
  };
}

function present(
  fields: readonly (readonly [field: string, value: Bytes | undefined])[],
): readonly (readonly [field: string, value: Bytes])[] {
  return fields.flatMap(([field, value]) => (value === undefined ? [] : [[field, value] as const]));
}

function readQuote(json: JsonObject, keys: unknown, keysField: string): UnverifiedQuote {
  const where = 'attestation.tpm.ecc_p256';
  const attest = hex(json, 'attest_data', where, MAX_ATTEST_BYTES);
  if (attest === undefined) missing(`${where}.attest_data`);
  const signature = hex(json, 'signature', where, MAX_SIGNATURE_BYTES);
  if (signature === undefined) missing(`${where}.signature`);
  const key = object(object(keys, keysField).ecc_p256, `${keysField}.ecc_p256`);
  const ak = new Uint8Array(1 + 2 * POINT_COORDINATE_BYTES);
  ak[0] = 4;
  for (const [index, name] of ['x', 'y'].entries()) {
    const coordinate = hex(key, name, `${keysField}.ecc_p256`, POINT_COORDINATE_BYTES);
    if (coordinate === undefined) missing(`${keysField}.ecc_p256.${name}`);
    if (coordinate.length !== POINT_COORDINATE_BYTES)
      invalid(`${keysField}.ecc_p256.${name}`, '64 hex digits', `${2 * coordinate.length}`);
    ak.set(coordinate, 1 + index * POINT_COORDINATE_BYTES);
  }
  const akPublic = hex(key, 'tpmt_public', `${keysField}.ecc_p256`, MAX_PUBLIC_BYTES);
  return { attest, signature, ak, akPublic };
}

/** The sender's own reading of the SHA-384 bank; other banks can't be compared with anything. */
function readPcrs(value: unknown): SenderClaims['pcrs'] {
  if (isAbsent(value)) return undefined;
  const banks = object(value, 'pcrs');
  if (isAbsent(banks.sha384)) return undefined;
  const bank = object(banks.sha384, 'pcrs.sha384');
  const pcrs = new Map<number, Bytes>();
  const together = decodeTogether(Object.values(bank));
  for (const [position, key] of Object.keys(bank).entries()) {
    if (!/^(0|[1-9]\d?)$/.test(key) || Number(key) > 31)
      invalid('pcrs.sha384', 'PCR indices 0..31 as keys', JSON.stringify(key.slice(0, 32)));
    const at = position * PCR_BYTES;
    const digest =
      together?.subarray(at, at + PCR_BYTES) ?? hex(bank, key, 'pcrs.sha384', PCR_BYTES);
    if (digest?.length !== PCR_BYTES)
      invalid(`pcrs.sha384.${key}`, '96 hex digits', `${2 * (digest?.length ?? 0)}`);
    pcrs.set(Number(key), digest);
  }
  return pcrs;
}

/**
 * PCR values decoded in one go: many small byte strings cost several times as much as a large one.
 * Undefined when one of them is anything else, which is then looked for.
 */
function decodeTogether(values: readonly unknown[]): Bytes | undefined {
  const isOne = (value: unknown): boolean =>
    typeof value === 'string' && value.length === 2 * PCR_BYTES;
  return values.every(isOne) ? decodeHex(values.join('')) : undefined;
}

function readEventLog(value: unknown): Bytes | undefined {
  if (isAbsent(value)) return undefined;
  if (typeof value === 'string' && value.length > MAX_EVENT_LOG_CHARACTERS)
    invalid('event_log', `at most ${MAX_EVENT_LOG_CHARACTERS} characters`, `${value.length}`);
  const bytes = typeof value === 'string' ? decodeBase64(value) : undefined;
  if (bytes === undefined) invalid('event_log', 'base64 text', kindOf(value));
  return bytes;
}

/** A hex field of at most `maxBytes`, undefined when absent. */
function hex(json: JsonObject, key: string, where: string, maxBytes: number): Bytes | undefined {
  const value = Object.hasOwn(json, key) ? json[key] : undefined;
  if (isAbsent(value)) return undefined;
  const name = where === '' ? key : `${where}.${key}`;
  if (typeof value !== 'string') invalid(name, 'hex text', kindOf(value));
  if (value.length > 2 * maxBytes) {
    if (key === 'document') tooLarge(maxBytes, Math.ceil(value.length / 2));
    invalid(name, `at most ${maxBytes} bytes`, `${Math.ceil(value.length / 2)}`);
  }
  const bytes = decodeHex(value);
  if (bytes === undefined) invalid(name, 'hex text', JSON.stringify(value.slice(0, 24)));
  return bytes;
}

function object(value: unknown, name: string): JsonObject {
  if (isAbsent(value)) missing(name);
  if (typeof value !== 'object' || Array.isArray(value)) invalid(name, 'an object', kindOf(value));
  return value as JsonObject;
}

/** Many serializers write null for what is absent. */
function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}

function missing(name: string): never {
  reject('evidence.field-missing', name, 'nothing');
}

function invalid(name: string, expected: string, actual: string): never {
  reject('evidence.field-invalid', `${name}: ${expected}`, actual);
}

function tooLarge(max: number, actual: number): never {
  reject('evidence.too-large', `at most ${max} bytes`, `${actual}`);
}

function unrecognized(actual: string, cause?: unknown): AttestationError {
  return new AttestationError('evidence.unrecognized', {
    expected: 'a COSE document (bytes, base64, base64url, hex) or a JSON bundle',
    actual,
    cause,
  });
}
