import {
  type EifInspection,
  inspectEif,
  type MeasureEifOptions,
  measureEif,
} from 'tee-verify/measure';
import { createNodeHasher, openFile } from '../common/file-source.js';
import { runDigestJobsInParallel } from '../common/parallel-digest-jobs.js';
import { nodeCrc32 } from './node-crc32.js';

/** How this program measures: with node:crypto, zlib and all cores. */
export const NODE_MEASURING: MeasureEifOptions = {
  createHasher: createNodeHasher,
  runDigestJobs: runDigestJobsInParallel,
  crc32: nodeCrc32,
};

/** What a file is, and what is wrong with it. Throws `eif.*` for inconsistent headers, `file.*`. */
export async function inspectFile(path: string): Promise<EifInspection> {
  const source = await openFile(path);
  try {
    return await inspectEif(source, NODE_MEASURING);
  } finally {
    await source.close();
  }
}

/** The PCRs of an image that is whole. Throws `eif.*`, `file.*`. */
export async function measureFile(path: string): Promise<ReadonlyMap<number, string>> {
  const source = await openFile(path);
  try {
    return (await measureEif(source, NODE_MEASURING)).pcrs;
  } finally {
    await source.close();
  }
}
