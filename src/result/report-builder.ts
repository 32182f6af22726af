import type { Flow } from '../crypto/flow.js';
import type { Appraisal } from './appraisal.js';
import { AttestationError } from './attestation-error.js';
import type { Claims } from './claims.js';
import type { Step } from './codes.js';
import type { EventLogFindings } from './event-log-report.js';
import type { ManifestReport } from './manifest-report.js';
import type { Note } from './note.js';
import type { Report, StepResult, StepState } from './report.js';
import type { VerificationTime } from './verification-time.js';

/** The steps of a verification, in the order in which a reader wants to see them. */
export const STEPS: readonly Step[] = [
  'evidence',
  'manifest',
  'cbor',
  'document',
  'x509',
  'cose',
  'quote',
  'bundle',
  'freshness',
  'eventlog',
  'pcr',
];

interface StepRecord {
  state: StepState;
  checks: string[];
  note?: string;
}

/** Writes the report while the main flow runs. */
export class ReportBuilder {
  readonly #provider: { readonly name: string };
  readonly #steps = new Map<Step, StepRecord>(
    STEPS.map((step) => [step, { state: 'not-run', checks: [] }]),
  );
  #time: VerificationTime | undefined;
  #claims: Claims | undefined;
  #appraisal: Appraisal | undefined;
  #manifest: ManifestReport | undefined;
  #eventLog: EventLogFindings | undefined;

  /** The provider's name is read at the end: some know theirs only then. */
  constructor(provider: { readonly name: string }) {
    this.#provider = provider;
  }

  /** Runs a step. An error marks the step it belongs to (its code's), not the one that met it. */
  *run<T>(step: Step, body: (note: Note) => Flow<T> | T): Flow<T> {
    const result = yield* this.part(step, body);
    this.#record(step).state = 'passed';
    return result;
  }

  /** Runs a part of a step that has not passed before its last part has. */
  *part<T>(step: Step, body: (note: Note) => Flow<T> | T): Flow<T> {
    const record = this.#record(step);
    try {
      const result = body((check) => record.checks.push(check));
      return isFlow(result) ? yield* result : result;
    } catch (error) {
      if (error instanceof AttestationError) this.#record(error.step).state = 'failed';
      throw error;
    }
  }

  /** Says why a step does not run. */
  skip(step: Step, note: string): undefined {
    this.#record(step).note = note;
  }

  /** Writes down the time that everything is judged at. */
  judgeAt(time: VerificationTime): VerificationTime {
    this.#time = time;
    return time;
  }

  /** Adds claims that are proven now; the first call brings those of the document. */
  prove(claims: Claims | Partial<Claims>): void {
    this.#claims = { ...(this.#claims as Claims), ...claims };
  }

  /** Writes down what the event log explains. It decides nothing: an unreadable one is "not run". */
  explained(isThere: boolean, findings: EventLogFindings | undefined): void {
    this.#eventLog = findings;
    const record = this.#record('eventlog');
    if (findings !== undefined && 'pcrs' in findings) {
      record.state = 'passed';
      return;
    }
    record.note = !isThere
      ? 'the evidence has no event log'
      : findings === undefined
        ? 'not in synchronous verification'
        : `the event log says nothing: ${findings.message}`;
  }

  /** Writes down which manifest the evidence is compared with. */
  compareWith(manifest: ManifestReport): void {
    this.#manifest = manifest;
  }

  /** Writes down how the PCRs compare with a measurement set. */
  readonly compared = (appraisal: Appraisal): void => {
    this.#appraisal = appraisal;
  };

  /** The report so far; with an error, a rejection. */
  finish(error?: AttestationError): Report {
    const steps = [...this.#steps].map(
      ([step, { state, checks, note }]): StepResult => ({
        step,
        state,
        ...(error?.step === step && { code: error.code }),
        checks,
        ...(note !== undefined && { note }),
      }),
    );
    return {
      verdict:
        error !== undefined ? 'rejected' : this.#appraisal?.matches ? 'verified' : 'unappraised',
      ...(error !== undefined && {
        code: error.code,
        step: error.step,
        message: error.message,
        ...(error.expected !== undefined && { expected: error.expected }),
        ...(error.actual !== undefined && { actual: error.actual }),
        hint: error.hint,
      }),
      steps,
      ...(this.#time !== undefined && { time: this.#time }),
      provider: this.#provider.name,
      ...(this.#claims !== undefined && { claims: this.#claims }),
      ...(this.#appraisal !== undefined && { appraisal: this.#appraisal }),
      ...(this.#manifest !== undefined && { manifest: this.#manifest }),
      ...(this.#eventLog !== undefined && { eventLog: this.#eventLog }),
      ...describeProof(steps, this.#claims, this.#appraisal),
    };
  }

  #record(step: Step): StepRecord {
    const known = this.#steps.get(step);
    if (known !== undefined) return known;
    const record: StepRecord = { state: 'not-run', checks: [] };
    this.#steps.set(step, record);
    return record;
  }
}

function isFlow<T>(value: Flow<T> | T): value is Flow<T> {
  return typeof (value as { next?: unknown } | undefined)?.next === 'function';
}

function describeProof(
  steps: readonly StepResult[],
  claims: Claims | undefined,
  appraisal: Appraisal | undefined,
): Pick<Report, 'proven' | 'notProven'> {
  const passed = (step: Step): boolean =>
    steps.some((result) => result.step === step && result.state === 'passed');
  const proven: string[] = [];
  const notProven: string[] = [];
  const say = (isProven: boolean, yes: string, no: string): void => {
    (isProven ? proven : notProven).push(isProven ? yes : no);
  };
  const isAuthentic = claims !== undefined && passed('x509') && passed('cose');
  say(
    isAuthentic,
    'The document was signed under the trust anchor: its PCRs, nonce and public key.',
    'Nothing in the evidence is proven.',
  );
  if (!isAuthentic) return { proven, notProven };
  const nonceChecked = steps.some(
    ({ step, state, checks }) =>
      step === 'freshness' &&
      state === 'passed' &&
      checks.includes('nonce equals the expected one'),
  );
  say(
    nonceChecked,
    'It answers the expected nonce.',
    'That it answers you: no nonce was compared, it may be a replay.',
  );
  say(
    passed('pcr') && appraisal?.matches === true,
    `The machine booted what measurement set ${JSON.stringify(appraisal?.label)} describes.`,
    'What the machine booted: the PCRs match no accepted measurement set.',
  );
  if (claims.quote === undefined) notProven.push('That a TPM key answered: there is no quote.');
  else {
    proven.push('The attestation key in the document quoted the same PCRs and nonce.');
    const claimed = claims.quote.attestationKeyAttributes === 'claimed';
    notProven.push(
      `That the attestation key is restricted to its TPM: ${claimed ? 'only the sender' : 'nobody'} says so.`,
    );
  }
  notProven.push('What the software did after it was measured.');
  return { proven, notProven };
}
