import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../common/tool-error.js';
import { Batches } from './batches.js';
import type { Exchange } from './exchange.js';
import { tooLarge } from './read-body.js';
import type { VerifierHandler } from './verifier-options.js';

/** A handler that listens. */
export interface RunningServer {
  readonly host: string;
  readonly port: number;
  /**
   * Takes no new connections, finishes what is under way, then ends; what takes longer than
   * `graceMs` is cut off. Resolves with how many requests were.
   */
  close(graceMs: number): Promise<number>;
}

const MAX_HEADER_BYTES = 16_384;
const REQUEST_TIMEOUT_MS = 15_000;
/** With twice or half as many, each takes 4 % longer. */
const BATCH_SIZE = 16;

/** Serves a handler over HTTP/1.1 with Node. Throws `service.listen-failed`. */
export async function listen(
  handler: VerifierHandler,
  host: string,
  port: number,
): Promise<RunningServer> {
  let underWay = 0;
  const batches = new Batches(BATCH_SIZE);
  const server: Server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: 65_000,
    },
    (incoming, outgoing) => {
      underWay++;
      answer(handler, batches, incoming, outgoing)
        .catch(() => outgoing.destroy())
        .finally(() => {
          underWay--;
        });
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new ToolError('service.listen-failed', {
          actual: `${cause.code} at ${host}:${port}`,
          cause,
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    host,
    port: typeof address === 'object' && address !== null ? address.port : port,
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeIdleConnections();
      const untilMs = Date.now() + graceMs;
      while (underWay > 0 && Date.now() < untilMs) await sleep(20);
      const cut = underWay;
      server.closeAllConnections();
      await closed;
      return cut;
    },
  };
}

async function answer(
  handler: VerifierHandler,
  batches: Batches,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { method = 'GET' } = incoming;
  // Never the host: that is the client's to write.
  const url = /^\/(?![/\\])/.test(incoming.url ?? '') ? (incoming.url as string) : '/other';
  const { status, headers, body } = await handler.answer({
    method,
    url,
    contentType: incoming.headers['content-type'] ?? '',
    ...bodyOf(incoming, batches),
    request: () =>
      new Request(new URL(url, 'http://localhost'), { method, headers: pick(incoming.headers) }),
  });
  headers['content-length'] = String(Buffer.byteLength(body));
  // Of a body that was not read to its end, the rest would be taken for the next request.
  if (!incoming.complete) headers.connection = 'close';
  outgoing.writeHead(status, headers).end(method === 'HEAD' ? undefined : body);
}

function bodyOf(incoming: IncomingMessage, batches: Batches): Pick<Exchange, 'read' | 'stop'> {
  let chunks: Uint8Array[] = [];
  const whole = (maxBytes: number): Promise<void> =>
    new Promise((resolve, reject) => {
      if (Number(incoming.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
      let length = 0;
      incoming.on('data', (chunk: Uint8Array) => {
        length += chunk.length;
        if (length > maxBytes) {
          incoming.pause();
          reject(tooLarge(maxBytes));
        } else chunks.push(chunk);
      });
      incoming.on('end', resolve);
      const broken = (cause?: unknown): void => {
        if (!incoming.complete)
          reject(new ToolError('service.body-invalid', { expected: 'a whole body', cause }));
      };
      incoming.on('error', broken);
      incoming.on('close', broken);
    });
  return {
    stop() {
      chunks = [];
      incoming.pause();
    },
    async read(maxBytes) {
      await whole(maxBytes);
      await batches.join();
      // Mostly it came in one piece: copying it would be for nothing.
      return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
    },
  };
}

/** What a rate limit may look at. */
function pick(headers: IncomingMessage['headers']): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (typeof value === 'string') picked[name] = value;
  return picked;
}
