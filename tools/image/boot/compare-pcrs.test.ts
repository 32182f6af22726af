import { parseManifest } from 'tee-verify/manifest';
import { describe, expect, it } from 'vitest';
import { comparePcrs, formatComparison } from './compare-pcrs.js';

const hex = (byte: number): string => byte.toString(16).padStart(2, '0').repeat(48);
const guest = new Map([4, 7, 11, 12].map((pcr) => [pcr, hex(pcr)]));
const manifest = (...sets: readonly object[]) =>
  parseManifest({
    version: 1,
    name: 'test',
    platform: 'nitrotpm',
    hashAlgorithm: 'SHA384',
    measurementSets: sets,
  });
const set = (label: string, pcrs: Readonly<Record<number, string>>, more: object = {}) => ({
  label,
  pcrs,
  ...more,
});

describe('the PCRs of a guest beside a manifest', () => {
  it('match when every PCR of one set is the same', () => {
    const comparison = comparePcrs(guest, manifest(set('a', { 4: hex(4), 12: hex(12) })));
    expect(comparison).toMatchObject({ label: 'a', matches: true });
    expect(formatComparison(comparison, guest)).toBe(
      `PCR4   same       ${hex(4)}\nPCR12  same       ${hex(12)}\nThe guest is what the manifest says (a).\n`,
    );
  });

  it('never match a mix of two sets; the nearest one is shown', () => {
    const comparison = comparePcrs(
      guest,
      manifest(
        set('a', { 4: hex(4), 7: hex(99), 12: hex(98) }),
        set('b', { 4: hex(97), 7: hex(7), 12: hex(12) }),
      ),
    );
    expect(comparison).toMatchObject({ label: 'b', matches: false });
    const text = formatComparison(comparison, guest);
    expect(text).toContain(
      `PCR4   DIFFERENT  manifest  ${hex(97)}\n                  guest     ${hex(4)}\n`,
    );
    expect(text).toContain('The guest is NOT what the manifest says (b).');
  });

  it('take the set that matches, wherever it stands', () => {
    const sets = [set('a', { 4: hex(1), 12: hex(12) }), set('b', { 4: hex(4), 12: hex(12) })];
    expect(comparePcrs(guest, manifest(...sets))).toMatchObject({ label: 'b', matches: true });
    expect(comparePcrs(guest, manifest(...sets.reverse()))).toMatchObject({ label: 'b' });
  });

  it('do not match a set that is revoked', () => {
    const revoked = { revoked: { reason: 'leaked' } };
    const comparison = comparePcrs(guest, manifest(set('a', { 4: hex(4), 12: hex(12) }, revoked)));
    expect(comparison.matches).toBe(false);
    expect(formatComparison(comparison, guest)).toContain('revoked: leaked');
  });

  it('are told when they changed after the hand-over, and when there are none', () => {
    const pinned = manifest(set('a', { 4: hex(4), 11: hex(50), 12: hex(12) }));
    const before = new Map([...guest, [11, hex(50)] as const]);
    expect(formatComparison(comparePcrs(guest, pinned), before)).toContain('handed over');
    expect(formatComparison(comparePcrs(guest, pinned), guest)).not.toContain('handed over');
    const none = comparePcrs(new Map(), pinned);
    expect(none.matches).toBe(false);
    expect(formatComparison(none, undefined)).toContain('unknown');
  });
});
