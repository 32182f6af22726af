import { createHash as nodeCreateHash, webcrypto } from 'node:crypto';
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
import { createNodeHasher, type FileSource } from './file-source.js';
import { ToolError } from './tool-error.js';

/** Below this, handing a job to another thread costs more than it saves. */
const WORTH_A_THREAD_BYTES = 1024 * 1024;
/** What may be read into memory at once, for libuv's threads, which are there already. */
const MAX_POOL_BYTES = 64 * 1024 * 1024;
/** From here on a thread of its own is worth its start of some 15 ms. */
const WORTH_A_START_BYTES = 24 * 1024 * 1024;

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
 * Computes digests of a file on all cores. This thread takes the largest job and whatever is small;
 * libuv's threads take jobs of a few MiB, read into memory (64 MiB at most); the other large ones
 * get a thread. Sources that are no files are hashed here. Throws `file.unreadable`.
 */
export const runDigestJobsInParallel: RunDigestJobs = async (source, jobs) => {
  if (!isFile(source)) return runDigestJobs(source, jobs, createNodeHasher);
  const { path } = source;
  const { own, pool, thread } = dealOut(jobs);
  const results = new Map<DigestJob, Uint8Array>();
  const keep = (share: readonly DigestJob[], digests: readonly Uint8Array[]): void => {
    for (const [i, job] of share.entries()) results.set(job, digests[i] as Uint8Array);
  };
  try {
    const inThread = thread.length === 0 ? [] : hashInThread(path, thread);
    const inPool = Promise.all(hashInPool(path, pool));
    const others = Promise.all([inThread, inPool]);
    others.catch(() => undefined); // awaited below
    keep(own, hashJobs(nodeFs, nodeCreateHash, path, own.map(toNamed)));
    const [threadDigests, poolDigests] = await others;
    keep(thread, threadDigests);
    keep(pool, poolDigests);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ToolError('file.unreadable', { actual: `${path}: ${reason}`, cause });
  }
  return jobs.map((job) => results.get(job) as Uint8Array);
};

/** Who hashes what. */
function dealOut(jobs: readonly DigestJob[]): Record<'own' | 'pool' | 'thread', DigestJob[]> {
  const own: DigestJob[] = [];
  const pool: DigestJob[] = [];
  const thread: DigestJob[] = [];
  let poolBytes = 0;
  const [largest, ...rest] = [...jobs].sort((a, b) => bytesOf(b) - bytesOf(a));
  if (largest !== undefined) own.push(largest);
  for (const job of rest) {
    const bytes = bytesOf(job);
    if (bytes < WORTH_A_THREAD_BYTES || availableParallelism() < 2) own.push(job);
    else if (bytes >= WORTH_A_START_BYTES || poolBytes + bytes > MAX_POOL_BYTES) thread.push(job);
    else {
      pool.push(job);
      poolBytes += bytes;
    }
  }
  return { own, pool, thread };
}

/** WebCrypto hashes in libuv's threads while this one works. */
function hashInPool(path: string, jobs: readonly DigestJob[]): Promise<Uint8Array>[] {
  if (jobs.length === 0) return [];
  const file = nodeFs.openSync(path, 'r');
  try {
    return jobs.map(async ({ algorithm, pieces }) => {
      const data = Buffer.allocUnsafeSlow(bytesOf({ algorithm, pieces }));
      let at = 0;
      for (const piece of pieces) {
        if ('bytes' in piece) data.set(piece.bytes, at);
        else if ('zeros' in piece) data.fill(0, at, at + piece.zeros);
        else if (nodeFs.readSync(file, data, at, piece.length, piece.offset) !== piece.length)
          throw new Error('the file ended early: it changed while it was read');
        at += pieceBytes(piece);
      }
      return new Uint8Array(await webcrypto.subtle.digest(algorithm, data));
    });
  } finally {
    // Everything was read: up to its first await, each of these functions has run.
    nodeFs.closeSync(file);
  }
}

function hashInThread(path: string, jobs: readonly DigestJob[]): Promise<Uint8Array[]> {
  return new Promise((resolve, reject) => {
    const workerData = { path, jobs: jobs.map(toNamed) };
    // Flags such as --input-type would be read as the thread's own.
    const worker = new Worker(WORKER, { eval: true, workerData, execArgv: [] });
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
