import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkDebugMode } from '../nitro/debug-mode.js';
import type { Pcrs, Platform, VerifiedDocument } from '../nitro/document.js';
import type { Appraisal } from '../result/appraisal.js';
import type { Code } from '../result/codes.js';
import { expectCode, notes, thrownBy } from '../test-support/rejection.js';
import { appraise } from './appraise.js';
import { parseManifest } from './parse-manifest.js';

const NOW = Date.UTC(2026, 2, 1, 12);
const value = (byte: number): string => byte.toString(16).padStart(2, '0').repeat(48);
const [A, B, C, ZERO] = [value(0xa1), value(0xb2), value(0xc3), value(0)];
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const documentOf = (pcrs: Record<number, string>, platform: Platform = 'nitrotpm') =>
  ({
    platform,
    pcrs: new Map(Object.entries(pcrs).map(([i, v]) => [Number(i), bytes(v)])) as Pcrs,
  }) as unknown as VerifiedDocument;
interface Set {
  readonly pcrs: Record<number, string>;
  readonly label?: string;
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly revoked?: { readonly reason: string };
}
const manifestOf = (sets: readonly Set[], platform: Platform = 'nitrotpm') =>
  parseManifest({
    version: 1,
    name: 'image',
    imageVersion: '1',
    platform,
    hashAlgorithm: 'SHA384',
    measurementSets: sets.map((set, i) => ({ label: `set ${i}`, ...set })),
  });

function run(
  document: VerifiedDocument,
  manifest: ReturnType<typeof manifestOf>,
  { nowMs = NOW, partial = false } = {},
) {
  const compared: Appraisal[] = [];
  const time = { nowMs, source: 'given', clockToleranceSeconds: 60, documentMs: nowMs } as const;
  const result = () =>
    appraise(document, manifest, time, partial, notes().note, undefined, (a) => compared.push(a));
  return { result, compared };
}

const DOCUMENT = documentOf({ 0: C, 4: A, 7: B, 11: C, 12: ZERO });
const GOOD: Set = { pcrs: { 4: A, 12: ZERO } };
const BAD: Set = { pcrs: { 4: B, 12: ZERO } };

describe('appraise', () => {
  it.each<readonly [string, readonly Set[], string]>([
    ['one set', [GOOD], 'set 0'],
    ['all pinned PCRs', [{ pcrs: { 0: C, 4: A, 7: B, 11: C, 12: ZERO } }], 'set 0'],
    ['the second set', [BAD, GOOD], 'set 1'],
    ['the first of two that match', [GOOD, { pcrs: { 7: B } }], 'set 0'],
    [
      'one in time behind one that is not',
      [{ ...GOOD, notAfter: '2025-01-01T00:00:00Z' }, GOOD],
      'set 1',
    ],
    [
      'beside a revoked one that does not match',
      [{ ...BAD, revoked: { reason: 'x' } }, GOOD],
      'set 1',
    ],
  ])('accepts: %s', (_name, sets, label) => {
    const { result, compared } = run(DOCUMENT, manifestOf(sets));
    const appraisal = result();
    expect(appraisal).toMatchObject({
      label,
      matches: true,
      manifestName: 'image',
      imageVersion: '1',
    });
    expect(
      appraisal.pcrs.every(({ matches, expected, actual }) => matches && expected === actual),
    ).toBe(true);
    expect(compared).toEqual([appraisal]);
  });

  it.each<readonly [string, Code, readonly Set[], Record<string, unknown>]>([
    ['another value', 'pcr.mismatch', [BAD], { label: 'set 0', matches: false }],
    [
      'a PCR the document lacks',
      'pcr.missing',
      [{ pcrs: { 4: A, 12: ZERO, 31: A } }],
      { label: 'set 0' },
    ],
    [
      'only PCRs the document lacks',
      'pcr.missing',
      [{ pcrs: { 4: A, 12: ZERO, 20: A, 21: A } }],
      {},
    ],
    ['one missing, one wrong', 'pcr.mismatch', [{ pcrs: { 4: B, 12: ZERO, 31: A } }], {}],
    [
      'PCRs of two sets, never mixed',
      'pcr.mismatch',
      [{ pcrs: { 4: A, 12: A } }, { pcrs: { 4: B, 12: ZERO } }],
      {},
    ],
    [
      'the nearest set is shown',
      'pcr.mismatch',
      [
        { pcrs: { 4: B, 7: C, 12: A } },
        { pcrs: { 4: A, 7: C, 12: ZERO } },
        { pcrs: { 4: B, 7: C, 12: ZERO } },
      ],
      { label: 'set 1' },
    ],
    [
      'the nearest accepted set, not a revoked one',
      'pcr.mismatch',
      [
        { pcrs: { 4: A, 7: C, 12: ZERO }, revoked: { reason: 'x' } },
        { pcrs: { 4: B, 7: C, 12: ZERO } },
      ],
      { label: 'set 1' },
    ],
    [
      'the nearest in time',
      'pcr.mismatch',
      [
        { pcrs: { 4: A, 7: C, 12: ZERO }, notAfter: '2025-01-01T00:00:00Z' },
        { pcrs: { 4: B, 7: C, 12: ZERO } },
      ],
      { label: 'set 1' },
    ],
    [
      'revoked',
      'pcr.revoked',
      [{ ...GOOD, revoked: { reason: 'CVE-1' } }],
      { label: 'set 0', matches: true },
    ],
    [
      'revoked wins over a set that matches before',
      'pcr.revoked',
      [GOOD, { ...GOOD, revoked: { reason: 'CVE-1' } }],
      { label: 'set 1' },
    ],
    [
      'revoked wins over a set that matches behind',
      'pcr.revoked',
      [{ ...GOOD, revoked: { reason: 'CVE-1' } }, GOOD],
      {},
    ],
    [
      'revoked by fewer PCRs',
      'pcr.revoked',
      [GOOD, { pcrs: { 11: C }, revoked: { reason: 'kernel' } }],
      { label: 'set 1' },
    ],
    [
      'revoked outside its time is revoked still',
      'pcr.revoked',
      [GOOD, { ...GOOD, revoked: { reason: 'x' }, notAfter: '2025-01-01T00:00:00Z' }],
      {},
    ],
    ['revoked without words', 'pcr.revoked', [{ ...GOOD, revoked: { reason: '' } }], {}],
    [
      'past its time',
      'pcr.set-outside-validity',
      [{ ...GOOD, notAfter: '2026-03-01T11:59:59.999Z' }],
      { label: 'set 0' },
    ],
    [
      'before its time',
      'pcr.set-outside-validity',
      [{ ...GOOD, notBefore: '2026-03-01T12:00:00.001Z' }],
      {},
    ],
  ])('refuses: %s', (_name, code, sets, shown) => {
    const { result, compared } = run(DOCUMENT, manifestOf(sets));
    expectCode(result, code);
    expect(compared).toHaveLength(1);
    expect(compared[0]).toMatchObject(shown);
  });

  it('says nothing of PCRs when there is nothing to compare with', () => {
    for (const [sets, code] of [
      [[{ ...BAD, revoked: { reason: 'x' } }], 'manifest.no-accepted-set'],
      [[{ ...BAD, notAfter: '2025-01-01T00:00:00Z' }], 'manifest.no-accepted-set'],
    ] as const) {
      const { result, compared } = run(DOCUMENT, manifestOf(sets));
      expectCode(result, code);
      expect(compared).toEqual([]);
    }
  });

  it('both ends of a set\u2019s time belong to it, without tolerance', () => {
    const set = { ...GOOD, notBefore: '2026-03-01T12:00:00Z', notAfter: '2026-03-01T12:00:01Z' };
    for (const nowMs of [NOW, NOW + 1000]) run(DOCUMENT, manifestOf([set]), { nowMs }).result();
    for (const nowMs of [NOW - 1, NOW + 1001])
      expectCode(run(DOCUMENT, manifestOf([set]), { nowMs }).result, 'pcr.set-outside-validity');
  });

  it('the platform must be the manifest\u2019s', () => {
    const enclave = documentOf({ 0: A, 1: B, 2: C, 4: A, 12: ZERO }, 'enclave');
    expectCode(run(enclave, manifestOf([GOOD])).result, 'manifest.platform-mismatch');
    const forEnclaves = manifestOf([{ pcrs: { 0: A } }], 'enclave');
    expectCode(run(documentOf({ 0: A }), forEnclaves).result, 'manifest.platform-mismatch');
    expect(run(enclave, forEnclaves).result().matches).toBe(true);
  });

  it('a manifest without a platform must pin what the evidence\u2019s platform needs', () => {
    const nitro = parseManifest({ PCR4: A, PCR12: ZERO });
    const enclave = documentOf({ 0: A, 4: A, 12: ZERO }, 'enclave');
    expect(run(DOCUMENT, nitro).result().matches).toBe(true);
    expectCode(run(enclave, nitro).result, 'manifest.incomplete');
    expect(run(enclave, nitro, { partial: true }).result().matches).toBe(true);
    expectCode(run(documentOf({ 0: A }), parseManifest({ PCR0: A })).result, 'manifest.incomplete');
  });

  it('names every PCR that differs, its meaning and both values', () => {
    const sets = [{ pcrs: { 4: B, 7: C, 12: ZERO, 31: A } }];
    const error = expectCode(run(DOCUMENT, manifestOf(sets)).result, 'pcr.mismatch');
    for (const part of [`PCR4 ${B}`, `PCR7 ${C}`, 'PCR31', 'set 0'])
      expect(error.expected).toContain(part);
    expect(error.actual).toContain(A);
    expect(error.actual).toContain('Secure Boot policy');
    expect(error.actual).toContain('not in the document');
    expect(error.expected).not.toContain('PCR12');
  });

  it('matches exactly when some accepted set agrees in all of its PCRs', () => {
    const hex = fc.constantFrom(A, B, ZERO);
    const pcrs = fc.dictionary(fc.constantFrom('0', '4', '7', '12'), hex, { minKeys: 1 });
    const set = fc.record({
      pcrs,
      revoked: fc.boolean(),
      late: fc.boolean(),
    });
    fc.assert(
      fc.property(pcrs, fc.array(set, { minLength: 1, maxLength: 4 }), (signed, sets) => {
        const manifest = manifestOf(
          sets.map((s) => ({
            pcrs: s.pcrs,
            ...(s.revoked && { revoked: { reason: 'x' } }),
            ...(s.late && { notAfter: '2020-01-01T00:00:00Z' }),
          })),
        );
        const agrees = sets.filter((s) =>
          Object.entries(s.pcrs).every(([i, v]) => signed[i] === v),
        );
        const expected = agrees.every((s) => !s.revoked) && agrees.some((s) => !s.late);
        const { result } = run(documentOf(signed), manifest, { partial: true });
        if (expected) expect(result().matches).toBe(true);
        else expect((thrownBy(result) as { code: string }).code).toMatch(/^(pcr|manifest)\./);
      }),
      { numRuns: 500 },
    );
  });
});

describe('checkDebugMode', () => {
  const good = { 0: A, 1: B, 2: C, 3: ZERO, 8: ZERO };
  const check = (pcrs: Record<number, string>, allow = false, platform: Platform = 'enclave') =>
    checkDebugMode(documentOf(pcrs, platform), allow, notes().note);

  it.each([0, 1, 2])('PCR%i all zero is debug mode, unless allowed', (index) => {
    const error = expectCode(() => check({ ...good, [index]: ZERO }), 'pcr.debug-mode');
    expect(error.actual).toContain(`PCR${index}`);
    expect(() => check({ ...good, [index]: ZERO }, true)).not.toThrow();
  });

  it('one bit is enough to be none', () => {
    expect(() => check({ ...good, 0: `${'00'.repeat(47)}01` })).not.toThrow();
  });

  it('other PCRs may be zero, and NitroTPM knows no such mode', () => {
    expect(() => check(good)).not.toThrow();
    expect(() => check(good, true)).not.toThrow();
    expect(() => check({ 0: ZERO, 1: ZERO, 2: ZERO }, false, 'nitrotpm')).not.toThrow();
  });
});
