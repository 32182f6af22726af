import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request } from 'node:http';
import { Agent as HttpsAgent, request as requestTls } from 'node:https';
import type { EBSClientConfig } from '@aws-sdk/client-ebs';
import { ToolError } from '../common/tool-error.js';

type SdkHandler = Extract<
  NonNullable<EBSClientConfig['requestHandler']>,
  { handle(...args: never[]): unknown }
>;
type SdkRequest = Parameters<SdkHandler['handle']>[0];
type SdkResponse = Awaited<ReturnType<SdkHandler['handle']>>;

/** How a handler treats servers that are slow, or say too much. */
export interface HttpLimits {
  /** Connections at once. */
  readonly connections: number;
  /** Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** For the whole exchange, to the answer's last byte; default 60 s. */
  readonly timeoutMs?: number;
  /** Of an answer; default 16 MiB, more than EC2's largest. */
  readonly maxAnswerBytes?: number;
}

const CONNECT_TIMEOUT_MS = 10_000;
const TIMEOUT_MS = 60_000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/**
 * Sends the SDK's requests over connections that are kept, and reads answers whole. The SDK's own
 * handler has no limit for an answer's size or time once it began, and spends several timers and a
 * stream on each. Redirects are not followed: an answer that is one is an error.
 */
export class HttpHandler {
  readonly metadata: { readonly handlerProtocol: string } = { handlerProtocol: 'http/1.1' };
  readonly #limits: Required<HttpLimits>;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  constructor(limits: HttpLimits) {
    this.#limits = {
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      timeoutMs: TIMEOUT_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      ...limits,
    };
    const agent = { keepAlive: true, maxSockets: limits.connections };
    this.#http = new HttpAgent(agent);
    this.#https = new HttpsAgent(agent);
  }

  /** Rejects with an error that has a code of Node's network, or `ami.answer-incomplete`. */
  handle(
    asked: SdkRequest,
    { abortSignal }: { readonly abortSignal?: unknown } = {},
  ): Promise<SdkResponse> {
    const signal = abortSignal as AbortSignal | undefined;
    const { connectTimeoutMs, timeoutMs } = this.#limits;
    return new Promise((resolve, reject) => {
      const sent = this.#request(asked);
      const timer = setTimeout(() => sent.destroy(timedOut('no answer', timeoutMs)), timeoutMs);
      const abort = (): void => {
        sent.destroy(Object.assign(new Error('Request aborted'), { name: 'AbortError' }));
      };
      const fail = (error: unknown): void => {
        end();
        reject(error);
      };
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      sent.on('error', fail);
      sent.on('socket', (socket) => {
        if (!socket.connecting) return;
        const late = (): unknown => sent.destroy(timedOut('no connection', connectTimeoutMs));
        const connecting = setTimeout(late, connectTimeoutMs);
        const stop = (): void => clearTimeout(connecting);
        socket.once('connect', stop).once('close', stop);
      });
      sent.on('response', (answer: IncomingMessage) => {
        this.#read(answer, sent, (body) => {
          end();
          const { statusCode = 0, statusMessage } = answer;
          const headers = joined(answer.headers);
          // The SDK takes bytes as well as streams, and no more of a response than these.
          const response = { statusCode, reason: statusMessage, headers, body };
          resolve({ response } as unknown as SdkResponse);
        });
        answer.on('error', fail);
      });
      if (signal?.aborted === true) abort();
      else {
        signal?.addEventListener('abort', abort);
        sent.end(asked.body);
      }
    });
  }

  /** Ends what is under way; the handler can be used again. */
  destroy(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  updateHttpClientConfig(): void {
    // Everything is set at the start.
  }

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }

  #request({ protocol, hostname, port, method, path, query, headers }: SdkRequest): ClientRequest {
    const isTls = protocol === 'https:';
    return (isTls ? requestTls : request)({
      agent: isTls ? this.#https : this.#http,
      // A literal IPv6 address stands in brackets in addresses only.
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      ...(port !== undefined && { port }),
      method,
      headers: { 'user-agent': 'tee-ami', ...headers },
      path: withQuery(path, query),
    });
  }

  #read(answer: IncomingMessage, sent: ClientRequest, done: (body: Uint8Array) => void): void {
    const { maxAnswerBytes } = this.#limits;
    const chunks: Uint8Array[] = [];
    let length = 0;
    answer.on('data', (chunk: Uint8Array) => {
      length += chunk.length;
      if (length <= maxAnswerBytes) chunks.push(chunk);
      else
        answer.destroy(
          new ToolError('ami.answer-incomplete', {
            expected: `an answer of at most ${maxAnswerBytes} bytes`,
            actual: `more from ${sent.host}`,
          }),
        );
    });
    answer.on('end', () => done(Buffer.concat(chunks, length)));
  }
}

function withQuery(path: string, query: SdkRequest['query'] = {}): string {
  const parts = Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) =>
      one === null ? escaped(name) : `${escaped(name)}=${escaped(one)}`,
    ),
  );
  return parts.length === 0 ? path : `${path}?${parts.join('&')}`;
}

/** As the signature expects it (RFC 3986, 2.3). */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function joined(headers: IncomingMessage['headers']): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return plain;
}

function timedOut(what: string, afterMs: number): Error {
  const error = new Error(`${what} within ${afterMs / 1000} s`);
  return Object.assign(error, { name: 'TimeoutError', code: 'ETIMEDOUT' });
}
