import { TOOL_CODES, type ToolArea, type ToolCode } from './codes.js';

/** What a `ToolError` carries besides its code. */
export interface ToolErrorDetails {
  /** What would have been acceptable. */
  readonly expected?: string;
  /** What was there instead. */
  readonly actual?: string;
  /** Overrides the table's hint when the case at hand allows a better one. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/**
 * The error of tee-tools for everything that can go wrong outside a verification: a device, a
 * TPM, a file, an option. Same shape as `AttestationError` of tee-verify.
 *
 * `code` and `area` are the contract; `message`, `expected`, `actual` and `hint` are for people
 * and may change.
 */
export class ToolError extends Error {
  override readonly name = 'ToolError';
  readonly code: ToolCode;
  readonly area: ToolArea;
  readonly expected: string | undefined;
  readonly actual: string | undefined;
  readonly hint: string;

  constructor(code: ToolCode, details: ToolErrorDetails = {}) {
    const facts = TOOL_CODES[code];
    const parts = [`${code}: ${facts.meaning}`];
    if (details.expected !== undefined) parts.push(`expected ${details.expected}`);
    if (details.actual !== undefined) parts.push(`got ${details.actual}`);
    super(parts.join('; '), details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.area = facts.area;
    this.expected = details.expected;
    this.actual = details.actual;
    this.hint = details.hint ?? facts.hint;
  }
}
