import { verifyAttestationSync } from 'tee-verify';
import { createNodeProvider } from 'tee-verify/node';
import { describe, expect, it } from 'vitest';
import { equalBytes } from '../../src/bytes/bytes.js';
import { encodeHex } from '../../src/bytes/hex.js';
import { loadSeeds, type Seed } from './corpus.js';
import { readCbor, writeCbor } from './mutate-cbor.js';
import { readDer, writeDer } from './mutate-der.js';
import { mutateDocument } from './mutate-document.js';
import type { Random } from './random.js';
import { runFuzz } from './run-fuzz.js';

const seeds = loadSeeds().filter(({ bundle }) => bundle === undefined);

/** Documents go in as bytes, at times as text. */
function mutate(random: Random, seed: Seed, other: Seed): string | Uint8Array {
  const document = mutateDocument(random, seed, other);
  if (random.chance(0.9) || equalBytes(document, seed.document)) return document;
  return random.chance(0.5) ? encodeHex(document) : Buffer.from(document).toString('base64');
}

describe('mutated documents', () => {
  it('start from documents that are accepted', () => {
    expect(seeds.length).toBeGreaterThan(20);
    for (const { document, manifest, options } of seeds)
      verifyAttestationSync(document, manifest, { ...options, provider: createNodeProvider() });
  });

  it('come back as they were when nothing is changed', () => {
    for (const { id, document } of seeds) {
      const tree = readCbor(document);
      expect(encodeHex(writeCbor(tree)), id).toBe(encodeHex(document));
      const envelope = tree.major === 6 ? tree.items[0] : tree;
      const payload = envelope?.items[2]?.bytes as Uint8Array;
      expect(encodeHex(writeCbor(readCbor(payload))), id).toBe(encodeHex(payload));
    }
    const root = seeds[0]?.options.trustAnchors?.[0] as string;
    const der = new Uint8Array(Buffer.from(root.replace(/-----.*-----/g, ''), 'base64'));
    expect(writeDer(readDer(der))).toEqual(der);
  });

  it('are refused in time, with a code, unless nothing that is signed changed', async () => {
    const result = await runFuzz({ name: 'documents', seeds, mutate }, 70_000);
    console.log(
      `${result.rounds} documents, ${result.accepted} accepted unchanged in what is signed, slowest ${result.slowestMs.toFixed(1)} ms`,
      Object.fromEntries([...result.codes].sort(([, a], [, b]) => b - a)),
    );
    if (result.rounds >= 40_000) {
      // Otherwise the mutants all die at the first hurdle.
      expect(result.codes.size).toBeGreaterThan(25);
      expect(result.accepted).toBeGreaterThan(0);
    }
  }, 0);
});
