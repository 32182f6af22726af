import { concatBytes } from 'tee-verify/bytes';
import { isObject } from '../common/json-object.js';
import { ToolError } from '../common/tool-error.js';
import type { Exchange } from './exchange.js';

/** Nonce and evidence as they were sent; nothing of it is checked. */
export interface VerificationRequest {
  readonly audience: string | undefined;
  /** Hex. */
  readonly nonce: string;
  /** A document as text, or a bundle as text or object. */
  readonly evidence: string | object;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a request for verification, until it is too late. Throws `service.media-type`,
 * `service.body-too-large`, `service.body-invalid`, and what `late` rejects with.
 */
export async function readVerificationRequest(
  exchange: Exchange,
  maxBytes: number,
  late: Promise<never>,
): Promise<VerificationRequest> {
  if (!/^application\/json\s*(;|$)/i.test(exchange.contentType))
    throw new ToolError('service.media-type', { expected: 'application/json' });
  // A body that stops coming may never end: without this, whoever sends it keeps its place forever.
  const bytes = await Promise.race([exchange.read(maxBytes), late]);
  let json: unknown;
  try {
    json = JSON.parse(UTF8.decode(bytes));
  } catch (cause) {
    throw new ToolError('service.body-invalid', { expected: 'JSON', cause });
  }
  if (!isObject(json)) throw new ToolError('service.body-invalid', { expected: 'an object' });
  const { audience, nonce, evidence, ...others } = json;
  if (Object.keys(others).length > 0)
    throw new ToolError('service.body-invalid', { expected: 'only audience, nonce and evidence' });
  if (audience !== undefined && typeof audience !== 'string')
    throw new ToolError('service.body-invalid', { expected: 'audience as text' });
  if (typeof nonce !== 'string')
    throw new ToolError('service.body-invalid', { expected: 'nonce as hex text' });
  if (typeof evidence !== 'string' ? !isObject(evidence) : evidence === '')
    throw new ToolError('service.body-invalid', { expected: 'evidence as text or object' });
  return { audience, nonce, evidence: evidence as string | object };
}

/** As text, evidence crosses into a worker cheaply, however deep somebody nested it. */
export function textOf(evidence: string | object): string {
  if (typeof evidence === 'string') return evidence;
  try {
    return JSON.stringify(evidence);
  } catch (cause) {
    throw new ToolError('service.body-invalid', { expected: 'evidence of JSON data', cause });
  }
}

/**
 * The body of a Web request. `read` throws `service.body-too-large` as soon as it is too much, and
 * `service.body-invalid` when it breaks off.
 */
export function webBody(request: Request): Pick<Exchange, 'read' | 'stop'> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let stopped = false;
  const stop = (): void => {
    stopped = true;
    reader?.cancel().catch(() => undefined);
  };
  return {
    stop,
    async read(maxBytes) {
      if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes);
      if (request.body === null) return new Uint8Array(0);
      reader = request.body.getReader();
      const chunks: Uint8Array[] = [];
      let length = 0;
      try {
        for (;;) {
          const { done, value } = await reader.read();
          // What was stopped looks like the end, too.
          if (stopped) throw new ToolError('service.body-invalid', { expected: 'a whole body' });
          if (done) return concatBytes(...chunks);
          length += value.length;
          if (length > maxBytes) throw tooLarge(maxBytes);
          chunks.push(value);
        }
      } catch (cause) {
        stop();
        if (cause instanceof ToolError) throw cause;
        throw new ToolError('service.body-invalid', { expected: 'a whole body', cause });
      }
    },
  };
}

/** The error for a body beyond the limit. */
export function tooLarge(maxBytes: number): ToolError {
  return new ToolError('service.body-too-large', { expected: `at most ${maxBytes} bytes` });
}
