import { createHash as nodeCreateHash } from 'node:crypto';
import * as nodeFs from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import {
  type ByteSource,
  type DigestJob,
  type Piece,
  type RunDigestJobs,
  runDigestJobs,
} from 'tee-verify/measure';
import { ToolError } from '../common/tool-error.js';
import { createNodeHasher, type FileSource } from './file-source.js';

/** Below this, starting a thread costs more than it saves. */
const WORTH_A_THREAD_BYTES = 8 * 1024 * 1024;
const MAX_THREADS = 4;

/** A job as threads get it: with node:crypto's name of the algorithm. */
interface NamedJob {
  readonly algorithm: string;
  readonly pieces: readonly Piece[];
}

/**
 * Hashes jobs from a file, one after the other. Its source text also runs in threads: so it must
 * not use anything but its arguments.
 */
function hashJobs(
  fs: Pick<typeof nodeFs, 'openSync' | 'readSync' | 'closeSync'>,
  createHash: typeof nodeCreateHash,
  path: string,
  jobs: readonly NamedJob[],
): Uint8Array[] {
  const file = fs.openSync(path, 'r');
  try {
    const buffer = new Uint8Array(1024 * 1024);
    const zeros = new Uint8Array(64 * 1024);
    return jobs.map(({ algorithm, pieces }) => {
      const hash = createHash(algorithm);
      for (const piece of pieces) {
        if ('bytes' in piece) hash.update(piece.bytes);
        else if ('zeros' in piece)
          for (let left = piece.zeros; left > 0; left -= zeros.length)
            hash.update(zeros.subarray(0, Math.min(left, zeros.length)));
        else
          for (let done = 0; done < piece.length; ) {
            const want = Math.min(piece.length - done, buffer.length);
            const got = fs.readSync(file, buffer, 0, want, piece.offset + done);
            if (got === 0) throw new Error('the file ended early: it changed while it was read');
            hash.update(buffer.subarray(0, got));
            done += got;
          }
      }
      return new Uint8Array(hash.digest());
    });
  } finally {
    fs.closeSync(file);
  }
}

/** A thread is started from text, so that the command stays one file wherever it is bundled to. */
const WORKER = `
const { parentPort, workerData } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const hashJobs = ${hashJobs.toString()};
parentPort.postMessage(hashJobs(require('node:fs'), createHash, workerData.path, workerData.jobs));
`;

/**
 * Computes digests of a file on all cores: the jobs are dealt out by size, this thread takes the
 * largest share. Sources that are no files are hashed here. Throws `file.unreadable`.
 */
export const runDigestJobsInParallel: RunDigestJobs = async (source, jobs) => {
  if (!isFile(source)) return runDigestJobs(source, jobs, createNodeHasher);
  const { path } = source;
  const [own = [], ...others] = dealOut(jobs, Math.min(MAX_THREADS, availableParallelism()));
  const results = new Map<DigestJob, Uint8Array>();
  const keep = (share: readonly DigestJob[], digests: readonly Uint8Array[]): void => {
    for (const [i, job] of share.entries()) results.set(job, digests[i] as Uint8Array);
  };
  const running = others.map((share) => hashInThread(path, share));
  for (const digests of running) digests.catch(() => undefined); // awaited below
  try {
    keep(own, hashJobs(nodeFs, nodeCreateHash, path, own.map(toNamed)));
    for (const [i, digests] of running.entries()) keep(others[i] as DigestJob[], await digests);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ToolError('file.unreadable', { actual: `${path}: ${reason}`, cause });
  }
  return jobs.map((job) => results.get(job) as Uint8Array);
};

/** Largest job first, each to the share with the least to do; shares too small for a thread go. */
function dealOut(jobs: readonly DigestJob[], threads: number): DigestJob[][] {
  const shares = Array.from({ length: threads }, () => ({ jobs: [] as DigestJob[], bytes: 0 }));
  for (const job of [...jobs].sort((a, b) => bytesOf(b) - bytesOf(a))) {
    const least = shares.reduce((a, b) => (b.bytes < a.bytes ? b : a));
    const share = bytesOf(job) < WORTH_A_THREAD_BYTES / 8 ? shares[0] : least;
    share?.jobs.push(job);
    if (share !== undefined) share.bytes += bytesOf(job);
  }
  shares.sort((a, b) => b.bytes - a.bytes);
  const [first = { jobs: [] }, ...rest] = shares;
  const worthwhile = rest.filter(({ bytes }) => bytes >= WORTH_A_THREAD_BYTES);
  const small = rest.filter(({ bytes }) => bytes < WORTH_A_THREAD_BYTES);
  return [
    [...first.jobs, ...small.flatMap((share) => share.jobs)],
    ...worthwhile.map((s) => s.jobs),
  ];
}

function hashInThread(path: string, jobs: readonly DigestJob[]): Promise<Uint8Array[]> {
  return new Promise((resolve, reject) => {
    const workerData = { path, jobs: jobs.map(toNamed) };
    const worker = new Worker(WORKER, { eval: true, workerData });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the hashing thread ended without an answer')));
  });
}

const toNamed = ({ algorithm, pieces }: DigestJob): NamedJob => ({
  algorithm: algorithm.replace('-', '').toLowerCase(),
  pieces,
});

const bytesOf = ({ pieces }: DigestJob): number =>
  pieces.reduce((sum, piece) => sum + pieceBytes(piece), 0);

function pieceBytes(piece: Piece): number {
  if ('zeros' in piece) return piece.zeros;
  return 'bytes' in piece ? piece.bytes.length : piece.length;
}

function isFile(source: ByteSource): source is FileSource {
  return typeof (source as Partial<FileSource>).path === 'string';
}
