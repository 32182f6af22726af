import { CODES, type Code, type CodeFacts, type CodeRow, type Step } from './codes.js';
import type { Report } from './report.js';

/** What an `AttestationError` carries besides its code. */
export interface ErrorDetails {
  /** What would have been acceptable. */
  readonly expected?: string;
  /** What was there instead. */
  readonly actual?: string;
  /** Overrides the table's hint when the case at hand allows a better one. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/**
 * The only error that bad evidence, manifests, certificates, images or logs cause.
 *
 * `code` and `step` are the contract (docs/codes.md); `message`, `expected`, `actual` and `hint`
 * are for people and may change. `report` is the whole report when a verification was under way.
 */
export class AttestationError extends Error {
  override readonly name = 'AttestationError';
  readonly code: Code;
  readonly step: Step;
  readonly expected: string | undefined;
  readonly actual: string | undefined;
  readonly #facts: CodeFacts;
  readonly #hint: string | undefined;
  report: Report | undefined;

  /** `row`: a code of verification, or a row of another part of the table. */
  constructor(row: CodeRow, details: ErrorDetails = {}) {
    const facts = typeof row === 'string' ? CODES[row] : row;
    const expected = clip(details.expected);
    const actual = clip(details.actual);
    const parts = [`${facts.code}: ${facts.meaning}`];
    if (expected !== undefined) parts.push(`expected ${expected}`);
    if (actual !== undefined) parts.push(`got ${actual}`);
    super(parts.join('; '), details.cause === undefined ? undefined : { cause: details.cause });
    this.code = facts.code;
    this.step = facts.step;
    this.expected = expected;
    this.actual = actual;
    this.#facts = facts;
    this.#hint = details.hint;
  }

  /** What to do about it. */
  get hint(): string {
    return this.#hint ?? this.#facts.hint;
  }
}

/** Throws: this code, what would have been acceptable, and what was there instead. */
export function reject(row: CodeRow, expected: string, actual: string): never {
  throw new AttestationError(row, { expected, actual });
}

/** Enough for every PCR of a set; what evidence or a manifest says of itself can be a megabyte. */
const MAX_DETAIL_CHARACTERS = 6000;

function clip(text: string | undefined): string | undefined {
  return text !== undefined && text.length > MAX_DETAIL_CHARACTERS
    ? `${text.slice(0, MAX_DETAIL_CHARACTERS)}…`
    : text;
}
