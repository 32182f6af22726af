import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportPKCS8, generateKeyPair } from 'jose';
import { encodeHex } from 'tee-verify/bytes';
import { createSigner } from 'tee-verify/manifest';
import { createChallenges } from 'tee-verify/result';
import { describe, expect, it } from 'vitest';
import {
  MANIFEST,
  makeDocument,
  TRUST_ANCHORS,
} from '../../src/result/test-support/sample-evidence.js';
import type { LogEntry } from './log-entry.js';
import { listen } from './node-server.js';
import { createVerifierHandler } from './verifier-handler.js';
import type { VerifierHandler, VerifierHandlerOptions } from './verifier-options.js';

const BASE = 'https://verifier.example';
const pair = await generateKeyPair('ES256', { extractable: true });
const signer = await createSigner(await exportPKCS8(pair.privateKey));
const policy = { audience: 'payments', manifest: MANIFEST };

function make(options: object = {}): VerifierHandler {
  return createVerifierHandler({
    policies: [policy],
    challenges: createChallenges({ key: new Uint8Array(32).fill(3) }),
    signer,
    verifyOptions: { trustAnchors: TRUST_ANCHORS },
    ...options,
  } as VerifierHandlerOptions);
}
const post = (handler: VerifierHandler, body: BodyInit): Promise<Response> =>
  handler(
    new Request(`${BASE}/v1/results`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      duplex: 'half',
    } as RequestInit),
  );
const codeOf = async (response: Response): Promise<unknown> =>
  ((await response.json()) as { code: unknown }).code;

describe('bodies that never end', () => {
  it('keep no place: the next request is served', async () => {
    const handler = make({ maxConcurrent: 1, timeoutMs: 30 });
    let cancelled = 0;
    const endless = (): ReadableStream =>
      new ReadableStream({
        cancel() {
          cancelled++;
        },
      });
    for (let i = 0; i < 3; i++)
      expect(await codeOf(await post(handler, endless()))).toBe('service.timeout');
    expect(await codeOf(await post(handler, '{}'))).toBe('service.body-invalid');
    expect(cancelled).toBe(3);
  });

  it('keep no place on Node either, whether the client stays or goes', async () => {
    const server = await listen(make({ maxConcurrent: 2, timeoutMs: 100 }), '127.0.0.1', 0);
    const head = 'POST /v1/results HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    const sockets = Array.from({ length: 2 }, () => {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(`${head}Content-Length: 1000\r\n\r\n{`);
      return socket;
    });
    try {
      await sleep(400);
      const response = await fetch(`http://127.0.0.1:${server.port}/v1/results`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      });
      expect(await codeOf(response)).toBe('service.body-invalid');
    } finally {
      for (const socket of sockets) socket.destroy();
      await server.close(1000);
    }
  });
});

describe('options that are misspelled or lost', () => {
  it.each<readonly [string, object]>([
    ['manifestkeys', { policies: [{ ...policy, manifestkeys: [] }] }],
    ['manifestKeys undefined', { policies: [{ ...policy, manifestKeys: undefined }] }],
    ['requireQuote undefined', { policies: [{ ...policy, requireQuote: undefined }] }],
    ['a time to judge at', { verifyOptions: { now: 'document' } }],
    ['debug mode', { verifyOptions: { allowDebug: true } }],
    ['ratelimit', { ratelimit: () => 1 }],
    ['rateLimit undefined', { rateLimit: undefined }],
    [
      'an audience beyond what challenges take',
      { policies: [{ ...policy, audience: 'a'.repeat(1025) }] },
    ],
  ])('%s is a TypeError', (_, options) => {
    expect(() => make(options)).toThrow(TypeError);
  });
});

describe('what is odd outside', () => {
  it('an address that is none is a path that is not there', async () => {
    const { status } = await make().answer({
      method: 'GET',
      url: 'http://[',
      contentType: '',
      read: async () => new Uint8Array(0),
      stop: () => undefined,
      request: () => new Request(BASE),
    });
    expect(status).toBe(404);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 0])('a rate limit of %s limits', async (n) => {
    const response = await make({ rateLimit: () => n })(new Request(`${BASE}/v1/challenge`));
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '1']);
  });

  it('the log says why the signer failed, the client is not told', async () => {
    const log: LogEntry[] = [];
    const sign = (): Promise<never> => Promise.reject(new Error('AccessDenied for the key'));
    const handler = make({
      log: (entry: LogEntry) => log.push(entry),
      signer: { ...signer, sign },
    });
    const challenge = await handler(new Request(`${BASE}/v1/challenge`));
    const { nonce } = (await challenge.json()) as { nonce: string };
    const document = await makeDocument(new Uint8Array(Buffer.from(nonce, 'hex')));
    const response = await post(handler, JSON.stringify({ nonce, evidence: encodeHex(document) }));
    expect(await response.text()).not.toContain('AccessDenied');
    expect(log.at(-1)).toMatchObject({ status: 503, code: 'result.signer-failed', level: 'warn' });
    expect(log.at(-1)?.error).toContain('AccessDenied for the key');
  });
});
