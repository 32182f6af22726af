import { CborMap, type CborValue, describeCbor } from '../cbor.js';
import { reject } from '../result/attestation-error.js';
import type { Note } from '../result/note.js';
import type { Proof } from '../trust.js';

/** What attested: an EC2 instance's NitroTPM, or a Nitro Enclave. */
export type Platform = 'nitrotpm' | 'enclave';

/** PCR values by index. */
export type Pcrs = ReadonlyMap<number, Uint8Array>;

/** The fields of an attestation document. */
export interface DocumentFields {
  readonly platform: Platform;
  /** `i-…-tpm…` or `i-…-enc…`. */
  readonly moduleId: string;
  /** UTC milliseconds since the epoch, by the clock of the Nitro system. */
  readonly timestampMs: number;
  /** SHA-384 values, 48 bytes each. */
  readonly pcrs: Pcrs;
  /** The leaf certificate, DER. */
  readonly certificate: Uint8Array;
  /** Root first, the leaf's issuer last. */
  readonly cabundle: readonly Uint8Array[];
  readonly publicKey: Uint8Array | undefined;
  readonly userData: Uint8Array | undefined;
  readonly nonce: Uint8Array | undefined;
  /** Keys that the specification does not know; they are signed, but nothing here uses them. */
  readonly unknownKeys: readonly string[];
}

declare const unverified: unique symbol;
declare const verified: unique symbol;

/** A document that anybody may have written. */
export type UnverifiedDocument = DocumentFields & { readonly [unverified]: true };

/** A document that AWS Nitro (or whoever the anchors name) signed. */
export type VerifiedDocument = DocumentFields & { readonly [verified]: true };

/** The one door from unverified to verified: the path and the signature must have been checked. */
export function trustDocument(
  document: UnverifiedDocument,
  _path: Proof<'x509'>,
  _signature: Proof<'cose'>,
): VerifiedDocument {
  return document as DocumentFields as VerifiedDocument;
}

const MAX_MODULE_ID_CHARACTERS = 256;
const MAX_CERTIFICATE_BYTES = 1024;
const MAX_FIELD_BYTES = 1024;
const MAX_PCRS = 32;
const PCR_BYTES = 48;
/** Nitro did not exist before; a timestamp in seconds falls into January 1970. */
const EARLIEST_MS = Date.UTC(2018, 0, 1);
/** Year 9999: what a Date can still print. */
const LATEST_MS = Date.UTC(9999, 11, 31);

const KNOWN_KEYS: ReadonlySet<string> = new Set([
  'module_id',
  'digest',
  'timestamp',
  'pcrs',
  'nitrotpm_pcrs',
  'certificate',
  'cabundle',
  'public_key',
  'user_data',
  'nonce',
]);

/**
 * Reads the decoded payload of a document and enforces every rule of its specification (AWS EC2 user
 * guide, "NitroTPM Attestation Document contents"; Nitro Enclaves, attestation process).
 * Throws `document.*`. Nothing in the result is proven yet.
 */
export function parseDocument(map: CborValue, note: Note): UnverifiedDocument {
  if (!(map instanceof CborMap)) reject('document.malformed', 'a map', describeCbor(map));
  const unknownKeys: string[] = [];
  for (const [id, [key]] of map.entries)
    if (typeof key !== 'string' || !KNOWN_KEYS.has(key)) unknownKeys.push(id);

  const moduleId = text(map, 'module_id');
  if (moduleId.length === 0 || moduleId.length > MAX_MODULE_ID_CHARACTERS)
    reject(
      'document.field-size',
      `module_id of 1 to ${MAX_MODULE_ID_CHARACTERS} characters`,
      `${moduleId.length}`,
    );
  const digest = text(map, 'digest');
  if (digest !== 'SHA384')
    reject('document.digest-unsupported', 'SHA384', JSON.stringify(digest.slice(0, 32)));
  const timestampMs = timestamp(map);
  const { platform, pcrs } = readPcrs(map);
  const document: DocumentFields = {
    platform,
    moduleId,
    timestampMs,
    pcrs,
    certificate: certificate(mandatory(map, 'certificate'), 'certificate'),
    cabundle: cabundle(map),
    publicKey: optionalBytes(map, 'public_key'),
    userData: optionalBytes(map, 'user_data'),
    nonce: optionalBytes(map, 'nonce'),
    unknownKeys,
  };
  note(
    `fields of a ${platform === 'nitrotpm' ? 'NitroTPM' : 'Nitro Enclave'} document, types and sizes`,
  );
  note(`${pcrs.size} SHA-384 PCRs`);
  if (unknownKeys.length > 0)
    note(`unknown keys, ignored: ${unknownKeys.join(', ').slice(0, 200)}`);
  return document as UnverifiedDocument;
}

function mandatory(map: CborMap, key: string): CborValue {
  const value = map.get(key);
  if (value === undefined || value === null)
    reject('document.field-missing', key, map.has(key) ? 'null' : 'no such key');
  return value;
}

function text(map: CborMap, key: string): string {
  const value = mandatory(map, key);
  if (typeof value !== 'string')
    reject('document.field-type', `${key} as text`, describeCbor(value));
  return value;
}

function timestamp(map: CborMap): number {
  const value = mandatory(map, 'timestamp');
  if (typeof value !== 'number' && typeof value !== 'bigint')
    reject('document.field-type', 'timestamp as unsigned integer', describeCbor(value));
  if (value < EARLIEST_MS || value > LATEST_MS)
    reject(
      'document.timestamp-invalid',
      'milliseconds since 1970, in 2018 or later',
      String(value),
    );
  return Number(value);
}

function readPcrs(map: CborMap): { platform: Platform; pcrs: Pcrs } {
  const isThere = (key: string): boolean => map.get(key) !== undefined && map.get(key) !== null;
  if (isThere('pcrs') && isThere('nitrotpm_pcrs'))
    reject('document.pcrs-ambiguous', 'pcrs or nitrotpm_pcrs', 'both');
  const platform = isThere('pcrs') ? 'enclave' : 'nitrotpm';
  const key = platform === 'enclave' ? 'pcrs' : 'nitrotpm_pcrs';
  if (!isThere(key)) reject('document.field-missing', 'pcrs or nitrotpm_pcrs', 'neither');
  const value = map.get(key);
  if (!(value instanceof CborMap))
    reject('document.field-type', `${key} as map`, describeCbor(value));
  if (value.entries.size === 0 || value.entries.size > MAX_PCRS)
    reject('document.pcr-count', `1 to ${MAX_PCRS} PCRs`, `${value.entries.size}`);
  const pcrs = new Map<number, Uint8Array>();
  for (const [index, digest] of value.entries.values()) {
    if (typeof index !== 'number' || index < 0 || index >= MAX_PCRS)
      reject('document.pcr-index', `an index of 0..${MAX_PCRS - 1}`, describeCbor(index));
    if (!(digest instanceof Uint8Array))
      reject('document.field-type', `PCR${index} as byte string`, describeCbor(digest));
    if (digest.length !== PCR_BYTES)
      reject('document.pcr-size', `PCR${index} of ${PCR_BYTES} bytes`, `${digest.length}`);
    pcrs.set(index, digest);
  }
  return { platform, pcrs: new Map([...pcrs].sort(([a], [b]) => a - b)) };
}

function cabundle(map: CborMap): readonly Uint8Array[] {
  const value = mandatory(map, 'cabundle');
  if (!Array.isArray(value))
    reject('document.field-type', 'cabundle as array', describeCbor(value));
  if (value.length === 0)
    reject('document.field-size', 'cabundle with certificates', 'an empty array');
  return value.map((item: CborValue, index: number) => certificate(item, `cabundle[${index}]`));
}

function certificate(value: CborValue, name: string): Uint8Array {
  if (!(value instanceof Uint8Array))
    reject('document.field-type', `${name} as byte string`, describeCbor(value));
  if (value.length === 0 || value.length > MAX_CERTIFICATE_BYTES)
    reject(
      'document.field-size',
      `${name} of 1 to ${MAX_CERTIFICATE_BYTES} bytes`,
      `${value.length}`,
    );
  return value;
}

/** Real enclave documents with an empty public_key exist: 0 bytes are accepted. */
function optionalBytes(map: CborMap, key: string): Uint8Array | undefined {
  const value = map.get(key);
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof Uint8Array))
    reject('document.field-type', `${key} as byte string or null`, describeCbor(value));
  if (value.length > MAX_FIELD_BYTES)
    reject('document.field-size', `${key} of at most ${MAX_FIELD_BYTES} bytes`, `${value.length}`);
  return value;
}
