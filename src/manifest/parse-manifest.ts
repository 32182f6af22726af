import { asBytes, type Bytes } from '../bytes/bytes.js';
import { decodeHex } from '../bytes/hex.js';
import { isPlainObject } from '../bytes/plain-object.js';
import { parseRfc3339 } from '../bytes/rfc-3339.js';
import { AttestationError, reject } from '../result/attestation-error.js';
import type {
  ManifestEvent,
  MeasurementSet,
  Provenance,
  ReferenceManifest,
} from './reference-manifest.js';

/** A manifest as text, bytes or parsed JSON. */
export type ManifestInput = string | Uint8Array | object;

const MAX_TEXT_CHARACTERS = 1_048_576;
const MAX_SETS = 1024;
const MAX_EVENTS = 4096;
const PCR_KEY = /^(0|[1-9]\d?)$/;
const AWS_PCR_KEY = /^PCR(0|[1-9]\d?)$/;
/** `SHA384`, and what the enclave CLI prints: `Sha384 { ... }`. */
const HASH_SHA384 = /^SHA-?384( \{ \.\.\. \})?$/i;

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads a manifest: our own format (version 1), AWS's `{"Measurements": …}` for NitroTPM and for
 * enclaves, or the flat `{"PCR0": …}`. Unknown fields are refused, because a misspelled `revoked`
 * must not be ignored. Throws `manifest.malformed`, `manifest.version-unsupported`,
 * `manifest.hash-unsupported`.
 */
export function parseManifest(
  input: ManifestInput,
  trust: ReferenceManifest['trust'] = { source: 'caller' },
): ReferenceManifest {
  const bytes = asBytes(input);
  const json = toObject(bytes === undefined ? (input as string | object) : decodeText(bytes));
  if (Object.hasOwn(json, 'version') || Object.hasOwn(json, 'measurementSets'))
    return readOwn(json, trust);
  if (Object.hasOwn(json, 'Measurements')) {
    onlyKeys(json, ['Measurements'], 'manifest');
    return readAws(object(json.Measurements, 'Measurements'), trust);
  }
  return readAws(json, trust);
}

/** The text of a manifest given as bytes. Throws `manifest.malformed`. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw notJson('bytes that are not UTF-8', cause);
  }
}

/** The JSON object behind text or an object. Throws `manifest.malformed`. */
export function toObject(input: string | object): JsonObject {
  if (typeof input !== 'string') return object(input, 'manifest');
  if (input.length > MAX_TEXT_CHARACTERS)
    malformed('manifest of at most 1 MiB', `${input.length} characters`);
  try {
    return object(JSON.parse(input.replace(/^\ufeff/, '')), 'manifest');
  } catch (cause) {
    if (cause instanceof AttestationError) throw cause;
    throw notJson(`text starting ${JSON.stringify(input.slice(0, 24))}`, cause);
  }
}

function notJson(actual: string, cause: unknown): AttestationError {
  return new AttestationError('manifest.malformed', { expected: 'a JSON object', actual, cause });
}

function readOwn(json: JsonObject, trust: ReferenceManifest['trust']): ReferenceManifest {
  if (json.version !== 1) reject('manifest.version-unsupported', '1', show(json.version));
  onlyKeys(
    json,
    [
      '$schema',
      'version',
      'name',
      'imageVersion',
      'platform',
      'hashAlgorithm',
      'measurementSets',
      'provenance',
    ],
    'manifest',
  );
  const { platform } = json;
  if (platform !== 'nitrotpm' && platform !== 'enclave')
    malformed('platform "nitrotpm" or "enclave"', show(platform));
  if (json.hashAlgorithm !== 'SHA384')
    reject('manifest.hash-unsupported', '"SHA384"', show(json.hashAlgorithm));
  const sets = list(json.measurementSets, 'measurementSets', MAX_SETS).map(readSet);
  const labels = new Set(sets.map(({ label }) => label));
  if (labels.size !== sets.length) malformed('labels that differ', 'the same label twice');
  return {
    name: optionalText(json, 'name'),
    imageVersion: optionalText(json, 'imageVersion'),
    platform,
    sets,
    provenance: readProvenance(json.provenance),
    trust,
  };
}

function readSet(value: unknown, index: number): MeasurementSet {
  const where = `measurementSets[${index}]`;
  const json = object(value, where);
  onlyKeys(json, ['label', 'pcrs', 'notBefore', 'notAfter', 'revoked', 'events'], where);
  const label = json.label;
  if (typeof label !== 'string' || label === '') malformed(`${where}.label as text`, show(label));
  let revokedReason: string | undefined;
  if (json.revoked !== undefined) {
    const revoked = object(json.revoked, `${where}.revoked`);
    onlyKeys(revoked, ['reason'], `${where}.revoked`);
    if (typeof revoked.reason !== 'string')
      malformed(`${where}.revoked.reason as text`, show(revoked.reason));
    revokedReason = revoked.reason;
  }
  const events = json.events === undefined ? [] : list(json.events, `${where}.events`, MAX_EVENTS);
  return {
    label,
    pcrs: readPcrs(object(json.pcrs, `${where}.pcrs`), PCR_KEY, `${where}.pcrs`),
    notBeforeMs: readTime(json, 'notBefore', where),
    notAfterMs: readTime(json, 'notAfter', where),
    revokedReason,
    events: events.map((event, i) => readEvent(event, `${where}.events[${i}]`)),
  };
}

function readEvent(value: unknown, where: string): ManifestEvent {
  const json = object(value, where);
  onlyKeys(json, ['pcr', 'digest', 'description', 'kind'], where);
  const { pcr, digest, description, kind } = json;
  if (typeof pcr !== 'number' || !Number.isInteger(pcr) || pcr < 0 || pcr > 31)
    malformed(`${where}.pcr of 0..31`, show(pcr));
  if (typeof digest !== 'string' || decodeHex(digest)?.length !== 48)
    malformed(`${where}.digest as 96 hex digits`, show(digest));
  if (typeof description !== 'string') malformed(`${where}.description as text`, show(description));
  if (kind !== undefined && typeof kind !== 'string')
    malformed(`${where}.kind as text`, show(kind));
  return { pcr, digest: digest.toLowerCase(), description, ...(kind !== undefined && { kind }) };
}

/** AWS's nitro-tpm-pcr-compute and nitro-cli: HashAlgorithm and PCRn side by side. */
function readAws(json: JsonObject, trust: ReferenceManifest['trust']): ReferenceManifest {
  const { HashAlgorithm, ...pcrs } = json;
  if (
    HashAlgorithm !== undefined &&
    !(typeof HashAlgorithm === 'string' && HASH_SHA384.test(HashAlgorithm))
  )
    reject('manifest.hash-unsupported', 'SHA384', show(HashAlgorithm));
  return {
    name: undefined,
    imageVersion: undefined,
    platform: undefined,
    sets: [
      {
        label: 'measurements',
        pcrs: readPcrs(pcrs, AWS_PCR_KEY, 'Measurements'),
        notBeforeMs: undefined,
        notAfterMs: undefined,
        revokedReason: undefined,
        events: [],
      },
    ],
    provenance: undefined,
    trust,
  };
}

function readPcrs(json: JsonObject, keyForm: RegExp, where: string): ReadonlyMap<number, Bytes> {
  const pcrs = new Map<number, Bytes>();
  for (const [key, value] of Object.entries(json)) {
    const index = Number(keyForm.exec(key)?.[1] ?? 'none');
    if (!(index <= 31))
      malformed(`${where} with PCR indices 0..31 as keys`, JSON.stringify(key.slice(0, 32)));
    const bytes = typeof value === 'string' ? decodeHex(value) : undefined;
    if (bytes?.length !== 48) malformed(`${where}.${key} as 96 hex digits`, show(value));
    pcrs.set(index, bytes);
  }
  return new Map([...pcrs].sort(([a], [b]) => a - b));
}

function readProvenance(value: unknown): Provenance | undefined {
  if (value === undefined) return undefined;
  const json = object(value, 'provenance');
  const keys = ['sourceRevision', 'builder', 'imageDigest', 'verityRootHash'] as const;
  onlyKeys(json, keys, 'provenance');
  return Object.fromEntries(
    keys.filter((key) => json[key] !== undefined).map((key) => [key, optionalText(json, key)]),
  ) as Provenance;
}

/** A time of the form 2026-02-03T10:12:02Z, as milliseconds since the epoch. */
function readTime(json: JsonObject, key: string, where: string): number | undefined {
  const value = json[key];
  if (value === undefined) return undefined;
  const milliseconds = typeof value === 'string' ? parseRfc3339(value) : undefined;
  if (milliseconds === undefined) malformed(`${where}.${key} as RFC 3339 time`, show(value));
  return milliseconds;
}

function optionalText(json: JsonObject, key: string): string | undefined {
  const value = json[key];
  if (value !== undefined && typeof value !== 'string') malformed(`${key} as text`, show(value));
  return value;
}

/** An object as JSON makes them: not an array, a Map, a promise or bytes. */
function object(value: unknown, where: string): JsonObject {
  if (!isPlainObject(value)) malformed(`${where} as object`, show(value));
  return value;
}

function list(value: unknown, where: string, max: number): readonly unknown[] {
  if (!Array.isArray(value)) malformed(`${where} as array`, show(value));
  if (value.length > max) malformed(`${where} of at most ${max}`, `${value.length}`);
  return Array.from(value);
}

function onlyKeys(json: JsonObject, known: readonly string[], where: string): void {
  const unknown = Object.keys(json).find((key) => !known.includes(key));
  if (unknown !== undefined)
    malformed(`${where} with only ${known.join(', ')}`, JSON.stringify(unknown.slice(0, 64)));
}

/** A value in a message: never a walk through what may be nested a hundred thousand levels deep. */
function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 110));
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return 'an array';
  return isPlainObject(value) ? 'an object' : Object.prototype.toString.call(value);
}

function malformed(expected: string, actual: string): never {
  reject('manifest.malformed', expected, actual);
}
