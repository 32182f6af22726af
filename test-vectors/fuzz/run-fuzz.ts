import {
  AttestationError,
  ChainMemory,
  inspectAttestation,
  verifyAttestationSync,
} from 'tee-verify';
import { createNodeProvider } from 'tee-verify/node';
import { equalBytes } from '../../src/bytes/bytes.js';
import { wasmProvider } from '../providers.js';
import type { Seed } from './corpus.js';
import { Random } from './random.js';
import { decodeEvidence, isSameStatement } from './signed-parts.js';

const LIMIT_MS = 100;
const LIMIT_BYTES = 64 * 1024 * 1024;
/** Repeats that a slow or large round gets, since the collector or another process may be the cause. */
const REPEATS = 5;

/** What is tried, and how long. */
export interface FuzzPlan {
  readonly name: string;
  readonly seeds: readonly Seed[];
  readonly mutate: (random: Random, seed: Seed, other: Seed) => string | Uint8Array | object;
  /** What is under test; default: the verifier. Throws unless it accepts. */
  readonly verify?: typeof verifyAttestationSync;
}

/** What came of it. */
export interface FuzzResult {
  readonly rounds: number;
  readonly accepted: number;
  /** Code → how often. */
  readonly codes: ReadonlyMap<string, number>;
  readonly slowestMs: number;
}

/** FUZZ_SEED, FUZZ_ROUNDS and FUZZ_SECONDS of the environment; FUZZ_ROUND repeats a single one. */
function budget(defaultRounds: number): {
  seed: number;
  first: number;
  rounds: number;
  until: number;
} {
  const { FUZZ_SEED, FUZZ_ROUNDS, FUZZ_SECONDS, FUZZ_ROUND } = process.env;
  const seed = FUZZ_SEED ? Number(FUZZ_SEED) : (Math.random() * 0x1_0000_0000) >>> 0;
  if (FUZZ_ROUND) return { seed, first: Number(FUZZ_ROUND), rounds: 1, until: Infinity };
  if (FUZZ_SECONDS)
    return {
      seed,
      first: 0,
      rounds: FUZZ_ROUNDS ? Number(FUZZ_ROUNDS) : Infinity,
      until: performance.now() + Number(FUZZ_SECONDS) * 1000,
    };
  return { seed, first: 0, rounds: Number(FUZZ_ROUNDS ?? defaultRounds), until: Infinity };
}

/** Runs the rounds; throws with all that is needed to repeat the first one that went wrong. */
export async function runFuzz(plan: FuzzPlan, defaultRounds: number): Promise<FuzzResult> {
  const { seed, first, rounds, until } = budget(defaultRounds);
  console.log(`fuzz ${plan.name}: FUZZ_SEED=${seed}`);
  const verify = plan.verify ?? verifyAttestationSync;
  const memory = new ChainMemory();
  // The fastest provider, so that most of the time goes to new mutants; another one looks at samples.
  const provider = wasmProvider();
  const second = createNodeProvider();
  const codes = new Map<string, number>();
  let accepted = 0;
  let slowestMs = 0;
  let done = 0;
  for (let round = first; done < rounds && performance.now() < until; round++, done++) {
    const random = new Random(seed, round);
    const origin = random.pick(plan.seeds);
    const evidence = mutant(plan, random, origin);
    const options = { ...origin.options, provider, chainMemory: memory };
    const fail = (what: string, cause?: unknown): never => {
      const shown =
        evidence instanceof Uint8Array
          ? Buffer.from(evidence).toString('base64')
          : JSON.stringify(evidence);
      throw new Error(
        `${what}\nrepeat with FUZZ_SEED=${seed} FUZZ_ROUND=${round} (${plan.name}, from ${origin.id})\n${shown.slice(0, 20_000)}`,
        { cause },
      );
    };
    const attempt = (): string => {
      try {
        verify(evidence, origin.manifest, options);
        return 'accepted';
      } catch (error) {
        if (error instanceof AttestationError) return error.code;
        return fail(`threw ${error instanceof Error ? error.stack : String(error)}`, error);
      }
    };
    const outcome = measured(attempt, fail);
    slowestMs = Math.max(slowestMs, outcome.ms);
    if (outcome.code === 'crypto.failed' || outcome.code === 'crypto.unavailable')
      fail(`the provider failed: ${outcome.code}`);
    if (outcome.code === 'accepted') {
      accepted++;
      const isKnown = plan.seeds.some((known) =>
        isSameStatement(decodeEvidence(evidence).signed(), known.signed),
      );
      if (!isKnown) fail('accepted, although signed bytes or a signature changed');
    }
    codes.set(outcome.code, (codes.get(outcome.code) ?? 0) + 1);
    // The other way in, over another provider, must say the same, and must not reject.
    if (round % 64 === 0) {
      const report = await inspectAttestation(evidence, origin.manifest, {
        ...options,
        provider: second,
      }).catch((error: unknown) => fail('inspectAttestation rejected', error));
      if ((report.code ?? 'accepted') !== outcome.code)
        fail(`inspectAttestation says ${report.code}, verifyAttestationSync ${outcome.code}`);
    }
  }
  return { rounds: done, accepted, codes, slowestMs };
}

/** A mutant that differs from what it was made of. */
function mutant(plan: FuzzPlan, random: Random, origin: Seed): string | Uint8Array | object {
  const bundle = JSON.stringify(origin.bundle);
  for (;;) {
    const evidence = plan.mutate(random, origin, random.pick(plan.seeds));
    const isSame =
      evidence instanceof Uint8Array
        ? equalBytes(evidence, origin.document)
        : (typeof evidence === 'string' ? evidence : JSON.stringify(evidence)) === bundle;
    if (!isSame) return evidence;
  }
}

/** Runs an attempt within its limits of time and memory. */
function measured(
  attempt: () => string,
  fail: (what: string) => never,
): { code: string; ms: number } {
  let fastest = Infinity;
  let smallest = Infinity;
  let code = '';
  for (let repeat = 0; repeat <= REPEATS; repeat++) {
    const before = memoryInUse();
    const started = performance.now();
    code = attempt();
    fastest = Math.min(fastest, performance.now() - started);
    smallest = Math.min(smallest, memoryInUse() - before);
    if (fastest <= LIMIT_MS && smallest <= LIMIT_BYTES) return { code, ms: fastest };
  }
  return fail(
    `${code} took ${fastest.toFixed(1)} ms and ${(smallest / 1048576).toFixed(1)} MiB at best`,
  );
}

function memoryInUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
