import { inspectAttestation } from 'tee-verify';
import { describe, expect, it } from 'vitest';
import { evidenceOf, loadCases, optionsOf } from '../../test-vectors/load-cases.js';
import { chainOfTrust } from './chain.js';
import { readShown } from './read-shown.js';

const cases = loadCases().filter(({ precededBy }) => precededBy === undefined);

describe('the chain of trust', () => {
  it.each(cases.map((one) => [one.id, one] as const))('%s', async (_id, vector) => {
    const evidence = evidenceOf(vector.input);
    const manifest = (vector.manifest ?? undefined) as object | undefined;
    const report = await inspectAttestation(evidence, manifest, optionsOf(vector));
    const links = chainOfTrust(report, readShown(evidence).described);
    const failed = links.filter(({ state }) => state === 'failed');
    // A rejection breaks exactly one link, and that link leads to the step that failed.
    if (report.verdict === 'rejected') {
      expect(failed.map(({ step }) => step)).toEqual([report.step]);
    } else {
      expect(failed).toEqual([]);
      const open = links.filter(({ state }) => state !== 'passed').map(({ title }) => title);
      const hasQuote = report.claims?.quote !== undefined;
      expect(open).toEqual([
        ...(hasQuote ? [] : ['Attestation key', 'TPM quote']),
        ...(report.verdict === 'verified' ? [] : ['PCRs']),
      ]);
    }
    // Nothing is shown as good that was only claimed.
    if (report.claims === undefined)
      expect(links.find(({ title }) => title === 'Attestation document')?.state).not.toBe('passed');
    expect(new Set(links.map(({ step }) => step)).size).toBeGreaterThan(3);
  });
});
