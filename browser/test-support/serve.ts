import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** What a path gives: a text, or the response itself. */
export type Route = string | ((nonce: string) => Promise<string | Uint8Array | undefined>);

export interface TestServer {
  readonly port: number;
  close(): Promise<void>;
}

/** The folder that the build writes. */
export const DIST: string = fileURLToPath(new URL('../../dist/', import.meta.url));

/** Serves texts by path, and beside them the files of dist; every page gets the policy. */
export async function serve(
  routes: Readonly<Record<string, Route>>,
  policy: string,
): Promise<TestServer> {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://test').pathname;
    const type = TYPES[extname(path)] ?? 'application/octet-stream';
    try {
      const route = routes[path];
      let body: string | Uint8Array | undefined;
      if (typeof route === 'function') {
        const parts: Buffer[] = [];
        for await (const part of request) parts.push(part);
        body = await route(JSON.parse(Buffer.concat(parts).toString()).nonce);
        // Never answers.
        if (body === undefined) return;
      } else body = route ?? readFileSync(join(DIST, path));
      // The verify page brings its own policy.
      const own = path.startsWith('/page/') ? {} : { 'content-security-policy': policy };
      response.writeHead(200, { 'content-type': type, ...own });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
