import { reject } from './attestation-error.js';
import { RESULT_CODES } from './result-codes.js';

/** A used challenge, on its way into the store. */
export interface UsedChallenge {
  /** Names the challenge; at most 64 characters of a to f and digits. */
  readonly id: string;
  /** When it was issued, milliseconds since the epoch. */
  readonly issuedAtMs: number;
  /** How long it must be remembered. */
  readonly keepMs: number;
}

/**
 * Remembers which challenges were used. `consume` must be atomic over all machines that share the
 * store: for one id exactly one call answers `fresh`.
 *
 * `used`: it was used before. `unknown`: it was issued before the store began to remember, so
 * nobody can know. Any rejection counts as "the store does not answer": nothing is accepted.
 */
export interface ChallengeStore {
  consume(challenge: UsedChallenge): Promise<'fresh' | 'used' | 'unknown'>;
  /** Resolves when the store can be used now; rejects otherwise. */
  check?(): Promise<void>;
}

const DEFAULT_CAPACITY = 100_000;

/**
 * A store in the memory of this process: for one machine. It never forgets a challenge before its
 * time: when it is full, `consume` rejects with `challenge.store-full`. Challenges issued before it
 * was made are `unknown`, so that a restart opens no window for replays.
 */
export function createMemoryChallengeStore(
  options: { readonly capacity?: number } = {},
): ChallengeStore {
  const { capacity = DEFAULT_CAPACITY } = options;
  if (!Number.isSafeInteger(capacity) || capacity < 1)
    throw new TypeError('capacity must be a whole number, 1 or more');
  const bornMs = Date.now();
  /** In the order of arrival, which is nearly that of expiry. */
  const used = new Map<string, number>();
  return {
    async consume({ id, issuedAtMs, keepMs }) {
      // Never the clock on the wall: set forward and back, it would forget what is still accepted.
      const nowMs = performance.now();
      for (const [oldest, untilMs] of used) {
        if (untilMs > nowMs) break;
        used.delete(oldest);
      }
      if (used.has(id)) return 'used';
      if (issuedAtMs < bornMs) return 'unknown';
      if (used.size >= capacity)
        reject(RESULT_CODES['challenge.store-full'], `at most ${capacity} challenges`, 'one more');
      used.set(id, nowMs + keepMs);
      return 'fresh';
    },
    async check() {},
  };
}
