import { equalBytes } from './bytes/bytes.js';
import { encodeHex } from './bytes/hex.js';
import type { VerifiedDocument } from './nitro/document.js';
import { reject } from './result/attestation-error.js';
import type { Note } from './result/note.js';
import type { VerificationTime } from './result/verification-time.js';

/** What the caller expects of the evidence's freshness. */
export interface FreshnessRules {
  /** The challenge; null when there must be none; undefined when it is not checked. */
  readonly nonce: Uint8Array | null | undefined;
  /** Undefined when age is not limited. */
  readonly maxAgeSeconds: number | undefined;
}

/**
 * Is it answering me, now? Compares the caller's nonce with the signed one, and the document's
 * timestamp with the clock: a leaf certificate lives for hours, so its validity says little.
 * Throws `freshness.*`.
 */
export function checkFreshness(
  document: VerifiedDocument,
  { nonce, maxAgeSeconds }: FreshnessRules,
  time: VerificationTime,
  note: Note,
): void {
  if (nonce !== undefined) checkNonce(document.nonce, nonce, note);
  const toleranceMs = time.clockToleranceSeconds * 1000;
  const ageMs = time.nowMs - document.timestampMs;
  const at = new Date(document.timestampMs).toISOString();
  if (ageMs < -toleranceMs)
    reject(
      'freshness.future',
      `at most ${time.clockToleranceSeconds} s after ${new Date(time.nowMs).toISOString()}`,
      `${at}, ${Math.round(-ageMs / 1000)} s ahead`,
    );
  note(`document made ${at}, not in the future`);
  if (maxAgeSeconds === undefined) return;
  if (ageMs > maxAgeSeconds * 1000 + toleranceMs)
    reject(
      'freshness.stale',
      `at most ${maxAgeSeconds} s old (tolerance ${time.clockToleranceSeconds} s)`,
      `${Math.round(ageMs / 1000)} s, made ${at}`,
    );
  note(`not older than ${maxAgeSeconds} s`);
}

function checkNonce(actual: Uint8Array | undefined, expected: Uint8Array | null, note: Note): void {
  const isThere = actual !== undefined && actual.length > 0;
  if (expected === null) {
    if (isThere) reject('freshness.nonce-unexpected', 'no nonce', encodeHex(actual));
    note('no nonce, as expected');
    return;
  }
  if (!isThere) reject('freshness.nonce-missing', encodeHex(expected), 'no nonce');
  if (!equalBytes(actual, expected))
    reject('freshness.nonce-mismatch', encodeHex(expected), encodeHex(actual));
  note('nonce equals the expected one');
}
