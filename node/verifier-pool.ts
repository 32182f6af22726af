import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { asBytes } from '../src/bytes/bytes.js';
import type { EvidenceInput, ManifestInput, Report, VerifyOptions } from '../src/index.js';
import { demandPlainRules } from '../src/manifest/manifest-rules.js';
import { ownOptions } from '../src/options.js';
import { AttestationError } from '../src/result/attestation-error.js';
import { POOL_CODES } from '../src/result/pool-codes.js';
import type { ProviderName } from './named-provider.js';
import type { PoolAnswer, PoolJob } from './verifier-worker.js';

/** How a pool of workers is made. */
export interface PoolOptions {
  /** Worker threads; default: one for each core. */
  readonly threads?: number;
  /** Default `wasm`, the fastest. */
  readonly provider?: ProviderName;
  /** How many verifications may wait before `pool.overloaded`; default 1024. */
  readonly maxQueued?: number;
}

/** Options of one verification in a pool; the provider and the chain memory are the pool's. */
export type PoolVerifyOptions = Omit<VerifyOptions, 'provider' | 'chainMemory'>;

/** Worker threads that verify side by side, for back ends that verify thousands a second. */
export interface VerifierPool {
  /**
   * `inspectAttestation` in a worker: resolves with the report, whatever the verdict; only
   * `verified` is a yes. Rejects with `pool.overloaded` when too many wait (tell the client to come
   * back), `pool.closed`, and `pool.worker-failed`; TypeError for wrong arguments.
   */
  inspect(
    evidence: EvidenceInput,
    manifest?: ManifestInput,
    options?: PoolVerifyOptions,
  ): Promise<Report>;
  /** Verifications that wait for a worker. */
  readonly queued: number;
  /** Finishes what was accepted, then ends the workers. Nothing is accepted any more. */
  close(): Promise<void>;
}

interface Waiting {
  readonly job: PoolJob;
  resolve(report: Report): void;
  reject(error: unknown): void;
}

interface Seat {
  worker: Worker | undefined;
  running: Waiting | undefined;
  /** Whether a worker on this seat ever answered: one that never did will not do so next time. */
  proved: boolean;
}

const DEFAULT_MAX_QUEUED = 1024;

/** Starts a pool. Its workers don't keep the process alive while they are idle. */
export function createVerifierPool(options: PoolOptions = {}): VerifierPool {
  const threads = options.threads ?? availableParallelism();
  const maxQueued = options.maxQueued ?? DEFAULT_MAX_QUEUED;
  if (!Number.isInteger(threads) || threads < 1) throw new TypeError('threads must be 1 or more');
  if (!Number.isInteger(maxQueued) || maxQueued < 0)
    throw new TypeError('maxQueued must be 0 or more');
  return new Pool(threads, options.provider ?? 'wasm', maxQueued);
}

class Pool implements VerifierPool {
  readonly #provider: ProviderName;
  readonly #maxQueued: number;
  readonly #seats: Seat[] = [];
  readonly #queue: Waiting[] = [];
  #nextId = 1;
  #closed: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;
  #broken: { readonly cause: unknown } | undefined;

  constructor(threads: number, provider: ProviderName, maxQueued: number) {
    this.#provider = provider;
    this.#maxQueued = maxQueued;
    for (let i = 0; i < threads; i++) {
      const seat: Seat = { worker: undefined, running: undefined, proved: false };
      this.#seats.push(seat);
      this.#start(seat);
    }
  }

  get queued(): number {
    return this.#queue.length;
  }

  inspect(
    evidence: EvidenceInput,
    manifest?: ManifestInput,
    options: PoolVerifyOptions = {},
  ): Promise<Report> {
    if (this.#broken !== undefined)
      return Promise.reject(new AttestationError(POOL_CODES['pool.worker-failed'], this.#broken));
    if (this.#closed !== undefined)
      return Promise.reject(new AttestationError(POOL_CODES['pool.closed']));
    if (this.#queue.length >= this.#maxQueued && this.#seats.every(({ running }) => running))
      return Promise.reject(
        new AttestationError(POOL_CODES['pool.overloaded'], {
          expected: `at most ${this.#maxQueued} waiting`,
          actual: `${this.#queue.length}`,
        }),
      );
    let job: PoolJob;
    try {
      job = {
        id: this.#nextId++,
        evidence: detach(evidence),
        manifest: manifest === undefined ? undefined : detach(manifest),
        options: detachOptions(options),
      };
    } catch (cause) {
      const message = 'evidence, manifest and options must be data that can be sent to a worker';
      return Promise.reject(cause instanceof TypeError ? cause : new TypeError(message, { cause }));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#assign();
    });
  }

  close(): Promise<void> {
    this.#closed ??= new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      this.#assign();
    }).then(async () => {
      await Promise.all(this.#seats.map(({ worker }) => worker?.terminate()));
    });
    return this.#closed;
  }

  #start(seat: Seat): void {
    const worker = new Worker(workerUrl(), {
      workerData: { provider: this.#provider },
      // Says how the parent's own text is to be read; Node refuses it for a file.
      execArgv: process.execArgv.filter((flag) => !flag.startsWith('--input-type')),
    });
    worker.unref();
    worker.on('message', (answer: PoolAnswer) => {
      // An answer belongs to its own question, or somebody else would get this verdict.
      if (seat.worker === worker && seat.running?.job.id === answer.id) this.#finish(seat, answer);
    });
    worker.on('error', (cause) => {
      if (seat.worker === worker) this.#replace(seat, cause);
    });
    seat.worker = worker;
  }

  #assign(): void {
    for (const seat of this.#seats) {
      if (seat.running !== undefined) continue;
      const next = this.#queue.shift();
      if (next === undefined) break;
      seat.running = next;
      seat.worker?.ref();
      seat.worker?.postMessage(next.job);
    }
    if (this.#queue.length === 0 && this.#seats.every(({ running }) => running === undefined))
      this.#onIdle?.();
  }

  #finish(seat: Seat, answer: PoolAnswer): void {
    const { running } = seat;
    seat.running = undefined;
    seat.proved = true;
    seat.worker?.unref();
    if (running !== undefined) {
      if ('report' in answer) running.resolve(answer.report);
      else if ('mistake' in answer) running.reject(new TypeError(answer.mistake));
      else
        running.reject(
          new AttestationError(POOL_CODES['pool.worker-failed'], { cause: answer.failure }),
        );
    }
    this.#assign();
  }

  /** A worker that died takes its own verification with it, and no other. */
  #replace(seat: Seat, cause: unknown): void {
    seat.running?.reject(new AttestationError(POOL_CODES['pool.worker-failed'], { cause }));
    seat.running = undefined;
    if (seat.proved) {
      seat.proved = false;
      this.#start(seat);
    } else {
      // It never worked, so the next one won't either: nobody may wait forever.
      this.#broken = { cause };
      for (const waiting of this.#queue.splice(0))
        waiting.reject(new AttestationError(POOL_CODES['pool.worker-failed'], { cause }));
    }
    this.#assign();
  }
}

/** A copy that nobody can change any more; shared memory would stay shared in a clone. */
function detach<T extends EvidenceInput | ManifestInput>(value: T): T | Uint8Array {
  const bytes = asBytes(value);
  return bytes === undefined ? structuredClone(value) : new Uint8Array(bytes);
}

/** A copy of the options. Rules that a clone would lose (inherited, computed) are refused first. */
function detachOptions(given: PoolVerifyOptions): PoolVerifyOptions {
  const options = ownOptions(given);
  if (options.manifestKeys !== undefined) demandPlainRules(options.manifestKeys);
  return structuredClone(options);
}

/** The worker's file stands beside the entry, whichever chunk this code was bundled into. */
function workerUrl(): URL {
  const beside = new URL('./verifier-worker.js', import.meta.url);
  return existsSync(beside) ? beside : new URL('../verifier-worker.js', import.meta.url);
}
