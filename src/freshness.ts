import { equalBytes } from './bytes/bytes.js';
import { encodeHex } from './bytes/hex.js';
import type { VerifiedDocument } from './nitro/document.js';
import { AttestationError } from './result/attestation-error.js';
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
    throw new AttestationError('freshness.future', {
      expected: `at most ${time.clockToleranceSeconds} s after ${new Date(time.nowMs).toISOString()}`,
      actual: `${at}, ${Math.round(-ageMs / 1000)} s ahead`,
    });
  note(`document made ${at}, not in the future`);
  if (maxAgeSeconds === undefined) return;
  if (ageMs > maxAgeSeconds * 1000 + toleranceMs)
    throw new AttestationError('freshness.stale', {
      expected: `at most ${maxAgeSeconds} s old (tolerance ${time.clockToleranceSeconds} s)`,
      actual: `${Math.round(ageMs / 1000)} s, made ${at}`,
    });
  note(`not older than ${maxAgeSeconds} s`);
}

function checkNonce(actual: Uint8Array | undefined, expected: Uint8Array | null, note: Note): void {
  const isThere = actual !== undefined && actual.length > 0;
  if (expected === null) {
    if (isThere)
      throw new AttestationError('freshness.nonce-unexpected', {
        expected: 'no nonce',
        actual: encodeHex(actual),
      });
    note('no nonce, as expected');
    return;
  }
  if (!isThere)
    throw new AttestationError('freshness.nonce-missing', {
      expected: encodeHex(expected),
      actual: 'no nonce',
    });
  if (!equalBytes(actual, expected))
    throw new AttestationError('freshness.nonce-mismatch', {
      expected: encodeHex(expected),
      actual: encodeHex(actual),
    });
  note('nonce equals the expected one');
}
