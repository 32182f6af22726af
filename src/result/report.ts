import type { Code, Step } from './codes.js';

/** Whether a step ran, and how it ended. */
export type StepState = 'passed' | 'failed' | 'not-run';

/** One step of a verification: docs/steps.md says what each does. */
export interface StepResult {
  readonly step: Step;
  readonly state: StepState;
  /** The code, when it failed. */
  readonly code?: Code;
  /** What was checked, in the order of the checks, e.g. `path length of the zonal CA`. */
  readonly checks: readonly string[];
  /** Why it did not run, or what a reader should know, e.g. `no quote in the evidence`. */
  readonly note?: string;
}

/**
 * `verified`: everything that had to be checked was, and passed. `unappraised`: authentic, but no
 * manifest was given, so nothing is known about the image. `rejected`: do not trust it.
 */
export type Verdict = 'verified' | 'unappraised' | 'rejected';
