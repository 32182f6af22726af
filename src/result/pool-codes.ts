import { type CodeFacts, tabulate } from './codes.js';

/** The part of the one table (codes.ts) that belongs to worker pools (`tee-verify/node`). */
const TABLE = {
  'pool.overloaded': [
    'too many verifications wait in the pool',
    'Answer 503 and let the client come back; or raise maxQueued or threads.',
  ],
  'pool.closed': ['the pool was closed', 'Make a new one.'],
  'pool.worker-failed': [
    'a worker of the pool failed',
    'See the cause. Nothing was accepted; ask again.',
  ],
} as const;

/** A code of worker pools, e.g. `pool.overloaded`. */
export type PoolCode = keyof typeof TABLE;

/** Every code of worker pools with its step, meaning and hint. */
export const POOL_CODES: Readonly<Record<PoolCode, CodeFacts>> = tabulate(TABLE);
