import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../common/tool-error.js';
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

/** Serves a handler over HTTP/1.1 with Node. Throws `service.listen-failed`. */
export async function listen(
  handler: VerifierHandler,
  host: string,
  port: number,
): Promise<RunningServer> {
  let underWay = 0;
  const server: Server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: 65_000,
    },
    (incoming, outgoing) => {
      underWay++;
      answer(handler, incoming, outgoing)
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
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { method = 'GET', url = '/' } = incoming;
  const hasBody = method !== 'GET' && method !== 'HEAD';
  const body = hasBody ? await readBody(incoming, handler.maxBodyBytes) : undefined;
  let request: Request;
  try {
    // The host is the client's to write: nothing depends on it.
    request = new Request(new URL(url, 'http://localhost'), {
      method,
      headers: pick(incoming.headers),
      ...(body !== undefined && { body }),
    });
  } catch {
    outgoing.writeHead(400, { connection: 'close' }).end();
    return;
  }
  const response = await handler(request);
  const bytes = Buffer.from(await response.arrayBuffer());
  const headers: Record<string, string> = { 'content-length': String(bytes.length) };
  response.headers.forEach((value, name) => {
    headers[name] = value;
  });
  // Of a body that was not read to its end, the rest would be taken for the next request.
  if (!incoming.complete) headers.connection = 'close';
  outgoing.writeHead(response.status, headers).end(method === 'HEAD' ? undefined : bytes);
}

/** One byte more than allowed is enough for the handler to see that it is too many. */
async function readBody(
  incoming: IncomingMessage,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk as Uint8Array);
    length += (chunk as Uint8Array).length;
    if (length > maxBytes) break;
  }
  return new Uint8Array(Buffer.concat(chunks).subarray(0, maxBytes + 1));
}

/** What the handler and a rate limit may look at; a length that was cut is not passed on. */
function pick(headers: IncomingMessage['headers']): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (typeof value === 'string' && !HOP_BY_HOP.has(name)) picked[name] = value;
  return picked;
}

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'transfer-encoding', 'te', 'trailer', 'upgrade', 'host'],
  ...['content-length', 'expect', 'proxy-connection'],
]);
