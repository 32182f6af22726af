import { describe, expect, it } from 'vitest';
import { checkFreshness, type FreshnessRules } from './freshness.js';
import type { VerifiedDocument } from './nitro/document.js';
import type { Code } from './result/codes.js';
import { expectCode, notes } from './test-support/rejection.js';

const MADE = Date.UTC(2026, 2, 1, 12);
const NONCE = new Uint8Array(32).fill(1);

function check(
  rules: Partial<FreshnessRules>,
  {
    nowMs = MADE,
    tolerance = 0,
    nonce,
  }: { nowMs?: number; tolerance?: number; nonce?: Uint8Array } = {},
): string[] {
  const document = { timestampMs: MADE, nonce } as unknown as VerifiedDocument;
  const time = {
    nowMs,
    source: 'given',
    clockToleranceSeconds: tolerance,
    documentMs: MADE,
  } as const;
  const { heard, note } = notes();
  checkFreshness(document, { nonce: undefined, maxAgeSeconds: undefined, ...rules }, time, note);
  return heard;
}

describe('nonce', () => {
  it.each<
    readonly [string, Code | undefined, Uint8Array | null | undefined, Uint8Array | undefined]
  >([
    ['equal', undefined, NONCE, NONCE.slice()],
    ['not checked, absent', undefined, undefined, undefined],
    ['not checked, there', undefined, undefined, NONCE],
    ['none expected, none there', undefined, null, undefined],
    ['none expected, an empty one there', undefined, null, new Uint8Array(0)],
    ['none expected, one there', 'freshness.nonce-unexpected', null, NONCE],
    ['expected, none there', 'freshness.nonce-missing', NONCE, undefined],
    ['expected, an empty one there', 'freshness.nonce-missing', NONCE, new Uint8Array(0)],
    ['another', 'freshness.nonce-mismatch', NONCE, new Uint8Array(32).fill(2)],
    ['its last byte differs', 'freshness.nonce-mismatch', NONCE, NONCE.with(31, 2)],
    ['shorter', 'freshness.nonce-mismatch', NONCE, NONCE.subarray(1)],
    ['longer', 'freshness.nonce-mismatch', NONCE, new Uint8Array([...NONCE, 0])],
  ])('%s', (_name, code, expected, nonce) => {
    const run = () => check({ nonce: expected }, nonce === undefined ? {} : { nonce });
    if (code !== undefined) expectCode(run, code);
    else
      expect(run().some((n) => n === 'nonce equals the expected one')).toBe(
        expected instanceof Uint8Array,
      );
  });
});

describe('age', () => {
  it.each<readonly [string, Code | undefined, number, number | undefined, number]>([
    ['just made', undefined, 0, 0, 0],
    ['1 ms old with no age allowed', 'freshness.stale', 1, 0, 0],
    ['exactly the maximum', undefined, 300_000, 300, 0],
    ['1 ms over', 'freshness.stale', 300_001, 300, 0],
    ['the maximum and the tolerance', undefined, 360_000, 300, 60],
    ['1 ms over both', 'freshness.stale', 360_001, 300, 60],
    ['a year old, age not limited', undefined, 31_536_000_000, undefined, 0],
    ['1 ms ahead, no tolerance', 'freshness.future', -1, 300, 0],
    ['ahead by the tolerance', undefined, -60_000, 300, 60],
    ['1 ms further ahead', 'freshness.future', -60_001, 300, 60],
    ['ahead, age not limited', 'freshness.future', -60_001, undefined, 60],
    ['half a second of age allowed', undefined, 500, 0.5, 0],
    ['more than half a second', 'freshness.stale', 501, 0.5, 0],
  ])('%s', (_name, code, ageMs, maxAgeSeconds, tolerance) => {
    const run = () => check({ maxAgeSeconds }, { nowMs: MADE + ageMs, tolerance });
    if (code === undefined) expect(run()).not.toHaveLength(0);
    else expect(expectCode(run, code).actual).toContain(new Date(MADE).toISOString());
  });

  it('the nonce is judged before the age, and a good nonce does not excuse a set age', () => {
    const late = { nowMs: MADE + 301_000, nonce: NONCE };
    expectCode(() => check({ nonce: NONCE, maxAgeSeconds: 300 }, late), 'freshness.stale');
    expectCode(
      () => check({ nonce: NONCE.with(0, 9), maxAgeSeconds: 300 }, late),
      'freshness.nonce-mismatch',
    );
  });
});
