import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../common/tool-error.js';

/** A request, read to its end. */
export interface LocalRequest {
  readonly method: string;
  /** Without the query, percent-encoding as it came. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** An answer. */
export interface LocalResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

/** Answers one request; what it throws becomes an answer with status 500. */
export type LocalHandler = (request: LocalRequest) => LocalResponse | Promise<LocalResponse>;

/** What goes wrong with one request; several at once go together. */
export interface LocalFault {
  /** Wait this long before anything else. */
  readonly delayMs?: number;
  /** Cut the connection: `before` the handler saw the request, or `after`, in place of its answer. */
  readonly reset?: 'before' | 'after';
  /** Answer this and do not ask the handler, e.g. a throttling error. */
  readonly answer?: LocalResponse;
  /** Change the handler's answer on its way, e.g. damage a checksum. */
  readonly change?: (response: LocalResponse) => LocalResponse;
}

/** Says for each request what goes wrong with it, if anything. */
export type ChooseFault = (request: LocalRequest) => LocalFault | undefined;

/** One request as it is remembered: without its body. */
export interface LoggedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyBytes: number;
  /** What was answered; undefined when the connection was cut instead. */
  readonly status: number | undefined;
  /** Whether a fault answered, or changed the answer. */
  readonly changed: boolean;
}

/** How to set up a local server. */
export interface LocalServerOptions {
  /** Default: nothing goes wrong. */
  readonly faults?: ChooseFault;
  /** Default 1 MiB; more is answered with 413. */
  readonly maxBodyBytes?: number;
  /** Default 0: any free port. */
  readonly port?: number;
}

/** A server on the loopback interface. */
export interface LocalServer {
  /** e.g. `http://127.0.0.1:43210`, without a slash at the end. */
  readonly url: string;
  /** What came, in the order in which it was answered; the latest 50 000. */
  readonly requests: readonly LoggedRequest[];
  /** Ends at once, also what is under way. */
  close(): Promise<void>;
}

const DEFAULT_MAX_BODY_BYTES = 1024 * 1024;
const MAX_REMEMBERED = 50_000;

/** Serves a handler on 127.0.0.1, for tests and for trying things out. Throws `service.listen-failed`. */
export async function startLocalServer(
  handler: LocalHandler,
  options: LocalServerOptions = {},
): Promise<LocalServer> {
  const { maxBodyBytes = DEFAULT_MAX_BODY_BYTES, faults = () => undefined, port = 0 } = options;
  const requests: LoggedRequest[] = [];
  const server = createServer({ keepAliveTimeout: 60_000 }, (incoming, outgoing) => {
    answer(incoming, outgoing)
      .then((logged) => {
        if (logged === undefined) return;
        requests.push(logged);
        if (requests.length > MAX_REMEMBERED) requests.shift();
      })
      .catch(() => outgoing.destroy());
  });

  async function answer(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<LoggedRequest | undefined> {
    const body = await readBody(incoming, maxBodyBytes);
    const request = toRequest(incoming, body ?? new Uint8Array(0));
    const fault = (body !== undefined && faults(request)) || {};
    const logged = (status: number | undefined): LoggedRequest => ({
      method: request.method,
      path: request.path,
      query: request.query.toString(),
      headers: request.headers,
      bodyBytes: request.body.length,
      status,
      changed: fault.answer !== undefined || fault.change !== undefined,
    });
    if (body === undefined) {
      send(outgoing, { status: 413, headers: { connection: 'close' } });
      return logged(413);
    }
    if (fault.delayMs !== undefined) await sleep(fault.delayMs);
    if (fault.reset === 'before') return cut(incoming, logged);
    const response = fault.answer ?? (await ask(handler, request));
    if (fault.reset === 'after') return cut(incoming, logged);
    send(outgoing, fault.change?.(response) ?? response);
    return logged(response.status);
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const actual = `${cause.code} at 127.0.0.1:${port}`;
      reject(new ToolError('service.listen-failed', { actual, cause }));
    });
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeAllConnections();
      await closed;
    },
  };
}

async function ask(handler: LocalHandler, request: LocalRequest): Promise<LocalResponse> {
  try {
    return await handler(request);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { status: 500, headers: { 'content-type': 'text/plain' }, body: text };
  }
}

/** Ends the connection with a TCP reset, as a failing network does. */
function cut(
  incoming: IncomingMessage,
  logged: (status: undefined) => LoggedRequest,
): LoggedRequest {
  incoming.socket.resetAndDestroy();
  return logged(undefined);
}

function send(outgoing: ServerResponse, { status, headers = {}, body = '' }: LocalResponse): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  outgoing.writeHead(status, { ...headers, 'content-length': String(bytes.length) }).end(bytes);
}

function toRequest(incoming: IncomingMessage, body: Uint8Array): LocalRequest {
  const url = incoming.url ?? '/';
  const at = url.indexOf('?');
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers))
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  return {
    method: incoming.method ?? 'GET',
    path: at < 0 ? url : url.slice(0, at),
    query: new URLSearchParams(at < 0 ? '' : url.slice(at + 1)),
    headers,
    body,
  };
}

/** The whole body; undefined when it is more than allowed. Rejects when it breaks off. */
async function readBody(
  incoming: IncomingMessage,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    // The rest is read and dropped: a client that still writes would not see the answer.
    if (length <= maxBytes) chunks.push(chunk);
  }
  return length > maxBytes ? undefined : Buffer.concat(chunks, length);
}
