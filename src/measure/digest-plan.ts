import { encodeHex } from '../bytes/hex.js';
import type { HashAlgorithm } from '../crypto/provider.js';
import type { ByteSource } from './byte-source.js';
import type { DigestJob, Piece, RunDigestJobs } from './digest-jobs.js';

/** A digest that `DigestPlan.run` computes; read it afterwards. */
export type PlannedDigest = () => Uint8Array;

/** Collects the digests of a measurement, so that each source is read once and none is hashed twice. */
export class DigestPlan {
  readonly #bySource = new Map<ByteSource, Map<string, DigestJob>>();
  readonly #results = new Map<DigestJob, Uint8Array>();

  /** Asks for a digest over pieces of a source. */
  add(
    source: ByteSource,
    pieces: readonly Piece[],
    algorithm: HashAlgorithm = 'SHA-384',
  ): PlannedDigest {
    const jobs = this.#bySource.get(source) ?? new Map<string, DigestJob>();
    this.#bySource.set(source, jobs);
    const key = `${algorithm} ${pieces.map(pieceKey).join(' ')}`;
    const job = jobs.get(key) ?? { algorithm, pieces };
    jobs.set(key, job);
    return () => {
      const digest = this.#results.get(job);
      if (digest === undefined) throw new TypeError('the plan did not run yet');
      return digest;
    };
  }

  /** Computes all of them. */
  async run(runJobs: RunDigestJobs): Promise<void> {
    for (const [source, byKey] of this.#bySource) {
      const jobs = [...byKey.values()];
      const digests = await runJobs(source, jobs);
      for (const [i, job] of jobs.entries()) this.#results.set(job, digests[i] as Uint8Array);
    }
  }
}

function pieceKey(piece: Piece): string {
  if ('zeros' in piece) return `0x${piece.zeros}`;
  return 'bytes' in piece ? `=${encodeHex(piece.bytes)}` : `${piece.offset}+${piece.length}`;
}
