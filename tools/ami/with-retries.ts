import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../common/tool-error.js';
import { isPassing, toToolError } from './aws-errors.js';

/** How often and how long to try. */
export interface RetryOptions {
  /** What is being done, for the error: `uploading block 7`. */
  readonly doing: string;
  readonly signal: AbortSignal;
  /** Default 15: with the pauses between them, some three minutes. */
  readonly attempts?: number;
  /** Told before each further attempt. */
  readonly onRetry?: ((error: unknown) => void) | undefined;
}

const BASE_MS = 100;
const CAP_MS = 30_000;

/** Something came back that must not be believed, e.g. a wrong checksum: try again. */
export class UnbelievableAnswer extends ToolError {}

/**
 * Does it again after throttling, network faults and faults of the service, after pauses of random
 * length whose limit doubles (full jitter). Throws `ami.interrupted` as soon as the signal says so,
 * otherwise the last error as one of the tools.
 */
export async function withRetries<T>(
  attempt: (number: number) => Promise<T>,
  { doing, signal, attempts = 15, onRetry }: RetryOptions,
): Promise<T> {
  for (let number = 1; ; number++) {
    try {
      checkInterrupted(signal);
      return await attempt(number);
    } catch (error) {
      checkInterrupted(signal);
      const again = error instanceof UnbelievableAnswer || isPassing(error);
      if (!again || number >= attempts) throw toToolError(error, doing);
      onRetry?.(error);
      await pause(Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** (number - 1)), signal);
    }
  }
}

/** Waits; throws `ami.interrupted` when the signal comes first. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => checkInterrupted(signal));
}

/** Throws `ami.interrupted` when the signal was given. */
export function checkInterrupted(signal: AbortSignal): void {
  if (signal.aborted) throw new ToolError('ami.interrupted');
}
