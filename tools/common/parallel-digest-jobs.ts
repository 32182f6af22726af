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
import { createNodeHasher, type FileSource } from './file-source.js';
import { ToolError } from './tool-error.js';

/** Below this, handing a job to another thread costs more than it saves. */
const WORTH_A_THREAD_BYTES = 1024 * 1024;
/** Starting a thread takes about as long as hashing this. */
const START_BYTES = 15 * 1024 * 1024;
/** Threads besides this one: an image seldom has more large parts. */
const MAX_THREADS = 3;
/** What stays in a core's second cache between reading and hashing. */
const BUFFER_BYTES = 256 * 1024;

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
  bufferBytes: number,
): Uint8Array[] {
  const file = fs.openSync(path, 'r');
  try {
    const buffer = new Uint8Array(bufferBytes);
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
const { parentPort } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const hashJobs = ${hashJobs.toString()};
parentPort.on('message', ({ path, jobs }) => {
  let answer;
  try {
    answer = { digests: hashJobs(fs, createHash, path, jobs, ${BUFFER_BYTES}) };
  } catch (error) {
    answer = { reason: error instanceof Error ? error.message : String(error) };
  }
  parentPort.postMessage(answer);
});
`;

/** What a thread answers. */
type Answer = { readonly digests: Uint8Array[] } | { readonly reason: string };

/** Threads that wait for their next file. */
const waiting: Worker[] = [];

/**
 * Computes digests of a file on all cores; threads are kept for the next file. Sources that are no
 * files are hashed here. Throws `file.unreadable`.
 */
export const runDigestJobsInParallel: RunDigestJobs = async (source, jobs) => {
  if (!isFile(source)) return runDigestJobs(source, jobs, createNodeHasher);
  const { path } = source;
  const [own = [], ...shares] = dealOut(jobs);
  const results = new Map<DigestJob, Uint8Array>();
  const keep = (share: readonly DigestJob[], digests: readonly Uint8Array[]): void => {
    for (const [i, job] of share.entries()) results.set(job, digests[i] as Uint8Array);
  };
  try {
    const others = Promise.all(shares.map((share) => hashInThread(path, share)));
    others.catch(() => undefined); // awaited below
    keep(own, hashJobs(nodeFs, nodeCreateHash, path, own.map(toNamed), BUFFER_BYTES));
    for (const [i, digests] of (await others).entries()) keep(shares[i] ?? [], digests);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ToolError('file.unreadable', { actual: `${path}: ${reason}`, cause });
  }
  return jobs.map((job) => results.get(job) as Uint8Array);
};

/** Who hashes what, this thread first: each job, the largest first, goes where least is to be done. */
function dealOut(jobs: readonly DigestJob[]): DigestJob[][] {
  const threads = Math.min(availableParallelism() - 1, MAX_THREADS);
  const own = { jobs: [] as DigestJob[], bytes: 0 };
  const others = Array.from({ length: threads }, (_, i) => ({
    jobs: [] as DigestJob[],
    bytes: i < waiting.length ? 0 : START_BYTES,
  }));
  for (const job of [...jobs].sort((a, b) => bytesOf(b) - bytesOf(a))) {
    const bytes = bytesOf(job);
    const all = bytes < WORTH_A_THREAD_BYTES ? [own] : [own, ...others];
    const share = all.reduce((best, one) => (one.bytes < best.bytes ? one : best));
    share.jobs.push(job);
    share.bytes += bytes;
  }
  return [own.jobs, ...others.map((share) => share.jobs).filter(({ length }) => length > 0)];
}

function startThread(): Worker {
  // Flags such as --input-type would be read as the thread's own.
  const worker = new Worker(WORKER, { eval: true, execArgv: [] });
  // One that ended for whatever reason would never answer.
  worker.once('exit', () => {
    if (waiting.includes(worker)) waiting.splice(waiting.indexOf(worker), 1);
  });
  return worker;
}

async function hashInThread(path: string, jobs: readonly DigestJob[]): Promise<Uint8Array[]> {
  const worker = waiting.pop() ?? startThread();
  worker.ref();
  const answer = await new Promise<Answer>((resolve, reject) => {
    const exited = (): void => reject(new Error('the hashing thread ended without an answer'));
    worker.once('error', reject).once('exit', exited);
    worker.once('message', (message: Answer) => {
      worker.off('error', reject).off('exit', exited);
      resolve(message);
    });
    worker.postMessage({ path, jobs: jobs.map(toNamed) });
  });
  // It keeps no process from ending.
  worker.unref();
  if (waiting.length < MAX_THREADS) waiting.push(worker);
  else await worker.terminate();
  if ('reason' in answer) throw new Error(answer.reason);
  return answer.digests;
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
