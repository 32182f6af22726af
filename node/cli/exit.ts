/** Exit status of every command of tee-verify. */
export const EXIT = { verified: 0, rejected: 1, usage: 2 } as const;

/** Ends a command with one line on standard error. Not for bad evidence: that is a verdict. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
