import { MAX_EVENT_LOG_BYTES } from '../../src/measure/event-log.js';
import { AttestationError } from '../../src/result/attestation-error.js';
import { classifyInput, HEAD_BYTES, type InputKind } from './classify-input.js';

/** A text, or the bytes of a file, and what to call it. */
export interface Loaded {
  readonly label: string;
  readonly content: string | Uint8Array;
  readonly notes: readonly string[];
  /** A manifest that nobody published: it was made here. */
  readonly isDerived?: boolean;
}

/** Where an input goes. */
export type Slot = 'evidence' | 'manifest' | 'anchor' | 'manifest-keys';

/** What the page is given: a file, or a text that was pasted. */
export type Given = File | string;

/** More than any evidence or manifest may have; the verifier then says by how much it is too large. */
const MAX_READ_BYTES = 4 * 1_048_576;

const SLOTS: Readonly<Record<Exclude<InputKind, 'unknown'>, Slot>> = {
  evidence: 'evidence',
  manifest: 'manifest',
  uki: 'manifest',
  eif: 'manifest',
  'event-log': 'manifest',
  'trust-anchor': 'anchor',
  'manifest-keys': 'manifest-keys',
};

/**
 * Reads what was dropped, chosen or pasted. Its contents say what it is, `slot` only where they do
 * not. Throws `evidence.too-large`, and the codes of measuring.
 */
export async function readInput(given: Given, slot: Slot): Promise<readonly [Slot, Loaded]> {
  const file = typeof given === 'string' ? undefined : given;
  const blob = file ?? new Blob([given]);
  const label = file === undefined ? 'Pasted' : `${file.name}, ${size(file.size)}`;
  const isSmall = blob.size <= HEAD_BYTES;
  const head = new Uint8Array(await blob.slice(0, HEAD_BYTES).arrayBuffer());
  const kind = classifyInput(head, isSmall);
  if (kind === 'uki' || kind === 'eif') {
    const { manifestFromEif, manifestFromUki } = await import('./derive-manifest.js');
    const derive = kind === 'eif' ? manifestFromEif : manifestFromUki;
    const { text, notes } = await derive(blob, file?.name ?? kind.toUpperCase());
    return derived(label, text, notes);
  }
  const limit = kind === 'event-log' ? MAX_EVENT_LOG_BYTES : MAX_READ_BYTES;
  if (blob.size > limit)
    throw new AttestationError('evidence.too-large', {
      expected: `at most ${limit} bytes`,
      actual: `${blob.size}`,
    });
  const content = isSmall ? head : new Uint8Array(await blob.arrayBuffer());
  if (kind === 'event-log') {
    const { manifestFromEventLog } = await import('./derive-manifest.js');
    const { text, notes } = await manifestFromEventLog(content, file?.name ?? 'event log');
    return derived(label, text, notes);
  }
  return [kind === 'unknown' ? slot : SLOTS[kind], { label, content, notes: [] }];
}

function derived(
  label: string,
  content: string,
  notes: readonly string[],
): readonly ['manifest', Loaded] {
  return ['manifest', { label: `Derived from ${label}`, content, notes, isDerived: true }];
}

function size(bytes: number): string {
  return bytes < 1000
    ? `${bytes} bytes`
    : bytes < 1_000_000
      ? `${(bytes / 1000).toFixed(1)} kB`
      : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
