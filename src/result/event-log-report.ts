import type { Code } from './codes.js';

/** Whether an event log accounts for one signed PCR. */
export interface PcrExplanation {
  readonly pcr: number;
  /** True when replaying the log gives exactly the signed value. */
  readonly explained: boolean;
  /** How many events of the log extend this PCR. */
  readonly eventCount: number;
  /** Lower-case hex. */
  readonly signed: string;
  /** What the replay gives, lower-case hex. */
  readonly replayed: string;
  /** Why it may differ, when it does. */
  readonly note?: string;
}

/** What an event log says about signed PCRs, or why it says nothing. */
export type EventLogFindings =
  | { readonly eventCount: number; readonly pcrs: readonly PcrExplanation[] }
  | { readonly code: Code; readonly message: string };
