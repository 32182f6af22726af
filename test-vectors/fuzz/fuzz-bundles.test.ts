import { verifyAttestationSync } from 'tee-verify';
import { createNodeProvider } from 'tee-verify/node';
import { describe, expect, it } from 'vitest';
import { loadSeeds } from './corpus.js';
import { mutateBundle } from './mutate-bundle.js';
import { runFuzz } from './run-fuzz.js';

const seeds = loadSeeds().filter(({ bundle }) => bundle !== undefined);

describe('mutated bundles', () => {
  it('start from bundles that are accepted', () => {
    expect(seeds.length).toBeGreaterThan(5);
    for (const { bundle, manifest, options } of seeds)
      verifyAttestationSync(bundle as object, manifest, {
        ...options,
        provider: createNodeProvider(),
      });
  });

  it('are refused in time, with a code, unless nothing that is signed changed', async () => {
    const result = await runFuzz({ name: 'bundles', seeds, mutate: mutateBundle }, 40_000);
    console.log(
      `${result.rounds} bundles, ${result.accepted} accepted unchanged in what is signed, slowest ${result.slowestMs.toFixed(1)} ms`,
      Object.fromEntries([...result.codes].sort(([, a], [, b]) => b - a)),
    );
    if (result.rounds >= 40_000) {
      expect(result.codes.size).toBeGreaterThan(25);
      expect(result.accepted).toBeGreaterThan(0);
    }
  }, 0);
});
