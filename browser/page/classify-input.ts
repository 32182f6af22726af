/** What a file or a pasted text is, by its contents. */
export type InputKind =
  | 'evidence'
  | 'manifest'
  | 'uki'
  | 'eif'
  | 'event-log'
  | 'trust-anchor'
  | 'manifest-keys'
  | 'unknown';

/** How much of a file is enough to tell. */
export const HEAD_BYTES = 65_536;

const COSE_FIRST_BYTES = [0x84, 0x9f, 0xd2];
/** Where the header event of a crypto-agile event log says what it is. */
const SPEC_ID_AT = 32;

/** Tells what the beginning of a file is; `isWhole` when it is all of it. */
export function classifyInput(head: Uint8Array, isWhole: boolean): InputKind {
  if (ascii(head, 0, 2) === 'MZ') return 'uki';
  if (ascii(head, 0, 4) === '.eif') return 'eif';
  if (ascii(head, SPEC_ID_AT, 14) === 'Spec ID Event0') return 'event-log';
  if (COSE_FIRST_BYTES.includes(head[0] ?? 0)) return 'evidence';
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: !isWhole }).trim();
  } catch {
    return 'unknown';
  }
  if (text.startsWith('{')) return classifyJson(text, isWhole);
  if (text.includes('-----BEGIN CERTIFICATE-----')) return 'trust-anchor';
  if (/^[\w-]+\.[\w-]*\.[\w-]+$/.test(text)) return 'manifest';
  return /^[\w+/=\s-]{40,}$/.test(text) ? 'evidence' : 'unknown';
}

function classifyJson(text: string, isWhole: boolean): InputKind {
  let keys: string[];
  try {
    keys = Object.keys(JSON.parse(text));
  } catch {
    // A large bundle is cut here; only bundles with event logs are that large.
    if (isWhole) return 'unknown';
    keys = [...text.matchAll(/"(\w+)"\s*:/g)].map(([, key]) => key as string);
  }
  if (keys.includes('attestation')) return 'evidence';
  if (keys.includes('keys') || (keys.includes('kty') && !keys.includes('payload')))
    return 'manifest-keys';
  return keys.some((key) => /^(measurementSets|Measurements|PCR\d+|payload)$/.test(key))
    ? 'manifest'
    : 'unknown';
}

function ascii(bytes: Uint8Array, from: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(from, from + length));
}
