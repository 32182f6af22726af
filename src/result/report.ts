import type { Appraisal } from './appraisal.js';
import type { Claims } from './claims.js';
import type { Code, Step } from './codes.js';
import type { EventLogFindings } from './event-log-report.js';
import type { ManifestReport } from './manifest-report.js';
import type { VerificationTime } from './verification-time.js';

/** Whether a step ran, and how it ended. */
export type StepState = 'passed' | 'failed' | 'not-run';

/** One step of a verification: docs/steps.md says what each does. */
export interface StepResult {
  readonly step: Step;
  readonly state: StepState;
  /** The code, when it failed. */
  readonly code?: Code;
  /** What was checked and passed, in the order of the checks. */
  readonly checks: readonly string[];
  /** Why it did not run, e.g. `no quote in the evidence`. */
  readonly note?: string;
}

/**
 * `verified`: everything that had to be checked was, and passed. `unappraised`: authentic, but no
 * manifest was given, so nothing is known about the image. `rejected`: do not trust it.
 */
export type Verdict = 'verified' | 'unappraised' | 'rejected';

/**
 * Everything that a verification found out, as plain JSON data (byte strings are lower-case hex).
 * `claims` are there only when the document's chain and signature were good; `appraisal` only when
 * the PCRs were compared with a manifest.
 */
export interface Report {
  readonly verdict: Verdict;
  /** What went wrong first, when rejected. */
  readonly code?: Code;
  readonly step?: Step;
  readonly message?: string;
  readonly expected?: string;
  readonly actual?: string;
  readonly hint?: string;
  /** Every step in order, also those that did not run. */
  readonly steps: readonly StepResult[];
  /** The time it was judged at; absent when the evidence could not be read that far. */
  readonly time?: VerificationTime;
  /** Name of the cryptographic provider. */
  readonly provider: string;
  readonly claims?: Claims;
  readonly appraisal?: Appraisal;
  /** The manifest it was compared with: its hash, and why it was believed. */
  readonly manifest?: ManifestReport;
  /** What the bundle's event log explains of the signed PCRs. The verdict never depends on it. */
  readonly eventLog?: EventLogFindings;
  /** What is now proven, and what is not: sentences for people. */
  readonly proven: readonly string[];
  readonly notProven: readonly string[];
}
