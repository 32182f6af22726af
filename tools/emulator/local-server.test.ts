import { afterEach, describe, expect, it } from 'vitest';
import { type LocalServer, startLocalServer } from './local-server.js';

let server: LocalServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

describe('startLocalServer', () => {
  it('hands over what came and answers what the handler says', async () => {
    server = await startLocalServer(({ method, path, query, headers, body }) => ({
      status: 201,
      headers: { 'x-seen': `${method} ${path} ${query.get('a')} ${headers['x-test']}` },
      body,
    }));
    const answer = await fetch(`${server.url}/x%20y/z?a=1`, {
      method: 'PUT',
      headers: { 'X-Test': 'yes' },
      body: 'bytes',
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('x-seen')).toBe('PUT /x%20y/z 1 yes');
    expect(await answer.text()).toBe('bytes');
    expect(server.requests).toMatchObject([
      { method: 'PUT', path: '/x%20y/z', query: 'a=1', bodyBytes: 5, status: 201 },
    ]);
  });

  it('refuses a body that is too large, without asking the handler', async () => {
    let asked = 0;
    server = await startLocalServer(
      () => {
        asked++;
        return { status: 200 };
      },
      { maxBodyBytes: 100_000 },
    );
    const put = (bytes: number): Promise<Response> =>
      fetch((server as LocalServer).url, { method: 'PUT', body: new Uint8Array(bytes) });
    expect((await put(100_000)).status).toBe(200);
    expect((await put(3_000_000)).status).toBe(413);
    expect(asked).toBe(1);
  });

  it('cuts the connection before or after the handler ran', async () => {
    let asked = 0;
    let reset: 'before' | 'after' = 'before';
    server = await startLocalServer(
      () => {
        asked++;
        return { status: 200 };
      },
      { faults: () => ({ reset }) },
    );
    await expect(fetch(server.url)).rejects.toThrow();
    expect(asked).toBe(0);
    reset = 'after';
    await expect(fetch(server.url)).rejects.toThrow();
    expect(asked).toBe(1);
    expect(server.requests.map(({ status }) => status)).toEqual([undefined, undefined]);
  });

  it('delays, answers in place of the handler and changes answers', async () => {
    server = await startLocalServer(() => ({ status: 200, body: 'right' }), {
      faults: ({ path }) =>
        path === '/slow'
          ? { delayMs: 60 }
          : path === '/throttled'
            ? { answer: { status: 429, body: 'later' } }
            : { change: (response) => ({ ...response, body: 'wrong' }) },
    });
    const { url } = server;
    const started = performance.now();
    expect(await (await fetch(`${url}/slow`)).text()).toBe('right');
    expect(performance.now() - started).toBeGreaterThan(55);
    expect((await fetch(`${url}/throttled`)).status).toBe(429);
    expect(await (await fetch(`${url}/corrupt`)).text()).toBe('wrong');
  });

  it('answers 500 when the handler fails, and says when it cannot listen', async () => {
    server = await startLocalServer(() => {
      throw new Error('broken');
    });
    expect((await fetch(server.url)).status).toBe(500);
    const port = Number(new URL(server.url).port);
    await expect(startLocalServer(() => ({ status: 200 }), { port })).rejects.toMatchObject({
      code: 'service.listen-failed',
    });
  });
});
