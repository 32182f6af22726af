import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HttpHandler } from './http-handler.js';
import { type LocalAws, startLocalAws } from './test-support/local-aws.js';
import { image, upload, when } from './test-support/upload-fixture.js';

let aws: LocalAws | undefined;
let server: Server | undefined;
afterEach(async () => {
  await aws?.close();
  server?.closeAllConnections();
  server?.close();
  [aws, server] = [undefined, undefined];
});

async function serve(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ protocol: string; hostname: string; port: number }> {
  const listening = createServer(handle);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as AddressInfo;
  return { protocol: 'http:', hostname: '127.0.0.1', port };
}

describe('HttpHandler', () => {
  const send = (at: object, limits: object = {}, options: object = {}) =>
    new HttpHandler({ connections: 2, timeoutMs: 300, maxAnswerBytes: 1000, ...limits }).handle(
      { method: 'GET', path: '/', headers: {}, ...at } as never,
      options,
    );

  it('gives status, headers and the whole body as bytes', async () => {
    const at = await serve((request, response) => {
      response.setHeader('set-cookie', ['a', 'b']);
      response.writeHead(201).end(`${request.url} ${request.headers['user-agent']}`);
    });
    const { response } = await send({
      ...at,
      path: '/a%20b',
      query: { x: "1'(2)*", y: ['a', 'b'], z: null },
    });
    expect(response).toMatchObject({ statusCode: 201, headers: { 'set-cookie': 'a, b' } });
    expect(new TextDecoder().decode(response.body)).toBe(
      '/a%20b?x=1%27%282%29%2A&y=a&y=b&z tee-ami',
    );
  });

  it.each<[string, (response: ServerResponse) => void, object]>([
    ['never answers', () => undefined, { code: 'ETIMEDOUT' }],
    [
      'drips its answer without an end',
      (response) => {
        const drip = setInterval(() => response.write('.'), 20);
        response.on('close', () => clearInterval(drip));
      },
      { code: 'ETIMEDOUT' },
    ],
    [
      'breaks off',
      (response) =>
        response.writeHead(200, { 'content-length': 9 }).write('x', () => response.destroy()),
      { code: 'ECONNRESET' },
    ],
    [
      'says too much',
      (response) => response.end('x'.repeat(1001)),
      { code: 'ami.answer-incomplete' },
    ],
  ])('gives up on a server that %s', async (_, answer, error) => {
    const at = await serve((_request, response) => answer(response));
    await expect(send(at)).rejects.toMatchObject(error);
  });

  it('stops when told, before and during a request', async () => {
    const at = await serve(() => undefined);
    const early = AbortSignal.abort();
    await expect(send(at, {}, { abortSignal: early })).rejects.toMatchObject({
      name: 'AbortError',
    });
    const stop = new AbortController();
    const under = send(at, {}, { abortSignal: stop.signal });
    setTimeout(() => stop.abort(), 20);
    await expect(under).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('does not wait for a connection for ever', async () => {
    // Of a network for documentation (RFC 5737): nobody answers, or the system says so at once.
    const nobody = { protocol: 'http:', hostname: '192.0.2.1', port: 80 };
    await expect(send(nobody, { connectTimeoutMs: 50, timeoutMs: 5000 })).rejects.toMatchObject({
      code: expect.stringMatching(/^(ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ECONNREFUSED)$/),
    });
  });
});

describe('createAmi on a server that lies', () => {
  it.each<[string, RegExp, object, RegExp]>([
    [
      'blocks of another size',
      /^POST \/snapshots /,
      { status: 201, body: '{"SnapshotId":"snap-0123456789abcdef0","BlockSize":4096}' },
      /^ami\.answer-incomplete.*4096/,
    ],
    [
      'no snapshot id',
      /^POST \/snapshots /,
      { status: 201, body: '{}' },
      /^ami\.answer-incomplete/,
    ],
    [
      'a snapshot id that is none',
      /^POST \/snapshots /,
      { status: 201, body: '{"SnapshotId":"snap-1\\ncomplete\\n","BlockSize":524288}' },
      /^ami\.answer-incomplete/,
    ],
    [
      'no JSON',
      /^POST \/snapshots /,
      { status: 201, body: '<html>' },
      /^ami\.answer-incomplete.*status 201 that cannot be read/,
    ],
    [
      'redirects',
      /^POST \/snapshots /,
      { status: 301, headers: { location: '/snapshots' } },
      /^ami\.service-failed/,
    ],
    [
      'no acknowledgement',
      /^PUT /,
      { status: 403, body: 'a proxy says no' },
      /^ami\.access-denied/,
    ],
    [
      'a page in place of XML',
      /Action=DescribeImages/,
      { status: 200, body: '<html><p>hello' },
      /^ami\./,
    ],
    [
      'an image id that is none',
      /Action=RegisterImage/,
      {
        status: 200,
        body: '<RegisterImageResponse><imageId>x y</imageId></RegisterImageResponse>',
      },
      /^ami\.answer-incomplete/,
    ],
  ])('answers with %s', async (_, pattern, answer, message) => {
    aws = await startLocalAws(when(pattern, () => ({ answer: answer as { status: number } })));
    image(aws);
    const error: Error = await upload(aws).then(
      () => new Error('registered'),
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({ name: 'ToolError' });
    expect(error.message).toMatch(message);
    expect(error.message).not.toMatch(/\n|test-secret/);
    expect(aws.ec2.images.size).toBe(0);
  });

  it('does not register a snapshot that another completion sealed', async () => {
    let first = '';
    aws = await startLocalAws(
      when(/completion/, (n) => (n === 0 ? { answer: { status: 403 } } : undefined)),
    );
    image(aws);
    await expect(upload(aws)).rejects.toMatchObject({ code: 'ami.access-denied' });
    [first = ''] = aws.store.snapshots.keys();
    // The service holds another block than was acknowledged: count and checksum no longer agree.
    const snapshot = aws.store.snapshots.get(first);
    snapshot?.digests.set(7, new Uint8Array(32));
    const resumed = upload(aws, { resume: true, timeoutMs: 3000 });
    await expect(resumed).rejects.toMatchObject({ code: 'ami.service-failed' });
    expect(aws.ec2.images.size).toBe(0);
  });
});
