import { AttestationError } from 'tee-verify';
import { ToolError } from '../common/tool-error.js';

/** Answers to errors (RFC 9457): the code is the contract. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly hint: string;
  /** The step of the verification that found it. */
  readonly step?: string;
  readonly retryAfterSeconds?: number;
}

const STATUS: Readonly<Record<string, number>> = {
  'service.not-found': 404,
  'service.method-not-allowed': 405,
  'service.body-too-large': 413,
  'service.body-invalid': 400,
  'service.media-type': 415,
  'service.audience-unknown': 404,
  'service.rate-limited': 429,
  'service.overloaded': 503,
  'service.timeout': 503,
  'service.draining': 503,
  'challenge.malformed': 400,
  'challenge.forged': 400,
  'challenge.wrong-audience': 400,
  'challenge.clock-skew': 400,
  'challenge.expired': 410,
  'challenge.store-restarted': 410,
  'challenge.replayed': 409,
  'challenge.store-full': 503,
  'challenge.store-unavailable': 503,
  'pool.overloaded': 503,
  'pool.closed': 503,
  'pool.worker-failed': 503,
  'crypto.failed': 503,
  'crypto.unavailable': 503,
  'result.signer-failed': 503,
};

/** The problem that an error is; undefined for one that nobody foresaw. */
export function problemOf(error: unknown): Problem | undefined {
  if (!(error instanceof AttestationError) && !(error instanceof ToolError)) return undefined;
  const { code, hint } = error;
  const title = error.message.slice(code.length + 2).split('; ')[0] as string;
  const status = STATUS[code] ?? 500;
  return { status, code, title, hint, ...(status === 503 && { retryAfterSeconds: 1 }) };
}

/** For the log alone: what happened, and why. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  return cause instanceof Error && !message.includes(cause.message)
    ? `${message}: ${cause.message}`
    : message;
}

/** What evidence was rejected for. A manifest that is no good is our fault, not the attester's. */
export function rejection(report: {
  readonly code?: string;
  readonly step?: string;
  readonly message?: string;
  readonly hint?: string;
}): Problem {
  const { code = 'service.internal', step, message = '', hint = '' } = report;
  const ours =
    STATUS[code] ??
    (step === 'manifest' && code !== 'manifest.platform-mismatch' ? 503 : undefined);
  return {
    status: ours ?? 422,
    code,
    title: message.slice(code.length + 2).split('; ')[0] as string,
    hint,
    ...(step !== undefined && { step }),
    ...(ours === 503 && { retryAfterSeconds: 1 }),
  };
}
