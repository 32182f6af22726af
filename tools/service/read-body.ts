import { concatBytes } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';
import type { Exchange } from './exchange.js';

/** Nonce and evidence as they were sent; nothing of it is checked. */
export interface VerificationRequest {
  readonly audience: string | undefined;
  /** Hex. */
  readonly nonce: string;
  /** A bundle or a document, as text. */
  readonly evidence: string;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a request for verification. Throws `service.media-type`, `service.body-too-large`,
 * `service.body-invalid`.
 */
export async function readVerificationRequest(
  exchange: Exchange,
  maxBytes: number,
  signal: AbortSignal,
): Promise<VerificationRequest> {
  if (!/^application\/json\s*(;|$)/i.test(exchange.contentType))
    throw new ToolError('service.media-type', { expected: 'application/json' });
  const bytes = await untilAborted(exchange.read(maxBytes, signal), signal);
  let json: unknown;
  try {
    json = JSON.parse(UTF8.decode(bytes));
  } catch (cause) {
    throw new ToolError('service.body-invalid', { expected: 'JSON', cause });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new ToolError('service.body-invalid', { expected: 'an object' });
  const { audience, nonce, evidence, ...others } = json as Readonly<Record<string, unknown>>;
  if (Object.keys(others).length > 0)
    throw new ToolError('service.body-invalid', { expected: 'only audience, nonce and evidence' });
  if (audience !== undefined && typeof audience !== 'string')
    throw new ToolError('service.body-invalid', { expected: 'audience as text' });
  if (typeof nonce !== 'string')
    throw new ToolError('service.body-invalid', { expected: 'nonce as hex text' });
  return { audience, nonce, evidence: textOf(evidence) };
}

/** As text it crosses into a worker cheaply, however deep somebody nested it. */
function textOf(evidence: unknown): string {
  if (typeof evidence === 'string' && evidence !== '') return evidence;
  if (typeof evidence === 'object' && evidence !== null && !Array.isArray(evidence))
    try {
      return JSON.stringify(evidence);
    } catch (cause) {
      throw new ToolError('service.body-invalid', { expected: 'evidence of JSON data', cause });
    }
  throw new ToolError('service.body-invalid', { expected: 'evidence as text or object' });
}

/**
 * Reads the body of a Web request. Throws `service.body-too-large` as soon as it is too much, and
 * `service.body-invalid` when it breaks off.
 */
export async function readWebBody(
  request: Request,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes);
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader();
  signal.addEventListener('abort', () => reader.cancel().catch(() => undefined), { once: true });
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return concatBytes(...chunks);
      length += value.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      chunks.push(value);
    }
  } catch (cause) {
    reader.cancel().catch(() => undefined);
    if (cause instanceof ToolError) throw cause;
    throw new ToolError('service.body-invalid', { expected: 'a whole body', cause });
  }
}

/** A body that stops coming may never end: without this, whoever sends it keeps its place forever. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new ToolError('service.timeout')), {
      once: true,
    });
  });
  return Promise.race([work, aborted]);
}

/** The error for a body beyond the limit. */
export function tooLarge(maxBytes: number): ToolError {
  return new ToolError('service.body-too-large', { expected: `at most ${maxBytes} bytes` });
}
