import { AttestationError, ChainMemory, inspectAttestation, verifyAttestation } from 'tee-verify';
import { describe, expect, it } from 'vitest';
import { evidenceOf, loadCases, optionsOf } from './load-cases.js';
import type { VectorCase } from './mint/vector-case.js';
import { PROVIDERS } from './providers.js';

/** Steps that come before the document's signature is known to be good. */
const BEFORE_TRUST: ReadonlySet<string> = new Set(['evidence', 'cbor', 'cose', 'x509', 'document']);

const cases = loadCases();

for (const provider of PROVIDERS)
  describe(`test vectors over ${provider.name}`, () => {
    // One memory for all cases: what one case leaves behind must not change another.
    const shared = new ChainMemory();
    it.each(cases.map((one) => [one.id, one] as const))('%s', async (_id, vector) => {
      await run(vector, provider, vector.precededBy ? new ChainMemory() : false);
      await run(vector, provider, shared);
    });
  });

async function run(
  vector: VectorCase,
  provider: (typeof PROVIDERS)[number],
  chainMemory: ChainMemory | false,
): Promise<void> {
  const { expected, precededBy } = vector;
  const options = { ...optionsOf(vector), provider, chainMemory };
  const manifest = (vector.manifest ?? undefined) as object | undefined;
  const evidence = () => evidenceOf(vector.input);
  if (precededBy !== undefined) {
    const earlier = { ...options, now: new Date(precededBy.nowMs) };
    const report = await inspectAttestation(evidence(), manifest, earlier);
    expect(report.verdict).toBe(precededBy.expected.verdict);
  }

  const report = await inspectAttestation(evidence(), manifest, options);
  const said = [report.verdict, report.code, report.step].join(' ');
  expect(said).toBe([expected.verdict, expected.code, expected.step].join(' '));
  if (expected.verdict === 'rejected') {
    // Nothing may be said about the image, nor claimed, when the evidence itself is not good.
    if (expected.step !== 'pcr') expect(report.appraisal).toBeUndefined();
    if (BEFORE_TRUST.has(expected.step as string)) expect(report.claims).toBeUndefined();
    if (expected.code === 'pcr.mismatch') expect(report.message).toMatch(/PCR ?\d+/);
    expect(report.steps.find(({ state }) => state === 'failed')).toMatchObject({
      step: expected.step,
      code: expected.code,
    });
  }
  if (manifest === undefined) return;

  const verified = verifyAttestation(evidence(), manifest, options);
  if (expected.verdict === 'verified') await expect(verified).resolves.toBeDefined();
  else {
    const error = await verified.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(AttestationError);
    expect((error as AttestationError).code).toBe(expected.code);
  }
}
