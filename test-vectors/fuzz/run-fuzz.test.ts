import { AttestationError, verifyAttestationSync } from 'tee-verify';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { twin } from '../mint/ecdsa.js';
import { loadSeeds, type Seed } from './corpus.js';
import { Random } from './random.js';
import { runFuzz } from './run-fuzz.js';
import { decodeEvidence, isSameStatement } from './signed-parts.js';

const seeds = loadSeeds();
const [seed] = seeds.filter(({ bundle }) => bundle === undefined) as [Seed];

/** The fuzz suite must find what it looks for: here it meets verifiers that are broken on purpose. */
describe('the fuzz suite', () => {
  beforeEach(() => {
    for (const name of ['FUZZ_ROUNDS', 'FUZZ_SECONDS', 'FUZZ_ROUND', 'FUZZ_SEED'])
      vi.stubEnv(name, undefined);
    vi.spyOn(console, 'log').mockImplementation(() => {});
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  const flipLast = (_random: Random, { document }: Seed): Uint8Array => {
    const copy = new Uint8Array(document);
    copy[copy.length - 1] = (copy.at(-1) as number) ^ 1;
    return copy;
  };
  const run = (verify: typeof verifyAttestationSync) =>
    runFuzz({ name: 'broken', seeds: [seed], mutate: flipLast, verify }, 3);

  it('finds a verifier that accepts what was changed', async () => {
    const accept = (() => ({})) as unknown as typeof verifyAttestationSync;
    await expect(run(accept)).rejects.toThrow(
      /accepted, although[\s\S]*FUZZ_SEED=\d+ FUZZ_ROUND=0/,
    );
  });

  it('finds a verifier that throws something else', async () => {
    await expect(
      run(() => {
        throw new RangeError('Maximum call stack size exceeded');
      }),
    ).rejects.toThrow(/threw RangeError/);
  });

  it('finds a verifier that is slow', async () => {
    await expect(
      run(() => {
        const until = performance.now() + 120;
        while (performance.now() < until);
        throw new AttestationError('cbor.malformed');
      }),
    ).rejects.toThrow(/cbor.malformed took 1\d\d\.\d ms/);
  });

  it('finds a verifier that takes much memory', async () => {
    const kept: Uint8Array[] = [];
    await expect(
      run(() => {
        kept.push(new Uint8Array(96 * 1024 * 1024));
        throw new AttestationError('cbor.malformed');
      }),
    ).rejects.toThrow(/ms and (8|9)\d\.\d MiB/);
  });

  it('finds two ways in that disagree', async () => {
    await expect(
      run(() => {
        throw new AttestationError('cbor.malformed');
      }),
    ).rejects.toThrow(/inspectAttestation says cose.signature-invalid/);
  });

  it('has nothing to say about the verifier as it is', async () => {
    const result = await run(verifyAttestationSync);
    expect([...result.codes]).toEqual([['cose.signature-invalid', 3]]);
  });

  it('repeats a round from its seed', () => {
    const stream = (round: number) => Array.from({ length: 5 }, () => new Random(7, round).u32());
    expect(stream(3)).toEqual(stream(3));
    expect(stream(3)).not.toEqual(stream(4));
  });

  it('tells twins of signatures from other signatures', () => {
    const { signed, document } = seed;
    const signature = document.slice(-96);
    const withSignature = (bytes: Uint8Array) => {
      const copy = new Uint8Array(document);
      copy.set(bytes, document.length - 96);
      return decodeEvidence(copy).signed();
    };
    expect(isSameStatement(withSignature(signature), signed)).toBe(true);
    expect(isSameStatement(withSignature(twin(signature, 'P-384')), signed)).toBe(true);
    expect(isSameStatement(withSignature(signature.map((byte) => byte ^ 1)), signed)).toBe(false);
    expect(isSameStatement({ ...signed, payload: `${signed.payload}00` }, signed)).toBe(false);
    expect(isSameStatement({ ...signed, attestData: 'ff' }, signed)).toBe(false);
  });
});
