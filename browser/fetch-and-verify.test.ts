import { AttestationError, fetchAndVerify } from 'tee-verify/browser';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeHex } from '../src/bytes/hex.js';
import { createNitroPki, type NitroPki } from '../tools/simulator/nitro-pki.js';

const URL_ = 'https://machine.example/attest';
const PCR4 = new Uint8Array(48).fill(4);
const MANIFEST = { PCR4: '04'.repeat(48), PCR12: '00'.repeat(48) };
let pki: NitroPki;

beforeAll(async () => {
  pki = await createNitroPki();
});

type Answer = (nonce: string, init: RequestInit) => Response | Promise<Response>;

async function document(nonce: string, pcr4 = PCR4): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await pki.issueDocument({
    platform: 'nitrotpm',
    moduleId: 'i-0123456789abcdef0-tpm0000000000000000',
    timestampMs: Date.now(),
    pcrs: { 4: pcr4, 12: new Uint8Array(48) },
    nonce: decodeHex(nonce),
    userData: new Uint8Array([1, 2]),
  });
  return new Uint8Array(bytes);
}

const calls: { url: string; init: RequestInit }[] = [];

function run(answer: Answer, options: object = {}, manifest: object | string = MANIFEST) {
  const fetch = async (url: string | URL, init: RequestInit = {}): Promise<Response> => {
    calls.push({ url: `${url}`, init });
    return answer(JSON.parse(init.body as string).nonce, init);
  };
  return fetchAndVerify(URL_, manifest, {
    trustAnchors: [pki.rootDer],
    fetch,
    ...options,
  } as never);
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (error instanceof AttestationError ? error.code : error),
  );

const good: Answer = async (nonce) => new Response(await document(nonce));

describe('fetchAndVerify', () => {
  it('is imported where there is no page', () => {
    expect(typeof (globalThis as { document?: unknown }).document).toBe('undefined');
    expect(typeof fetchAndVerify).toBe('function');
  });

  it('asks with a fresh nonce and gives the claims that answer it', async () => {
    calls.length = 0;
    const first = await run(good);
    const second = await run(good, { headers: { authorization: 'x' }, credentials: 'omit' });
    const [a, b] = calls.map(({ init }) => JSON.parse(init.body as string).nonce);
    expect(a).toMatch(/^[0-9a-f]{64}$/);
    expect(b).not.toBe(a);
    expect([first.nonce, second.nonce]).toEqual([a, b]);
    expect(first.report.verdict).toBe('verified');
    expect(calls[1]).toMatchObject({
      url: URL_,
      init: {
        method: 'POST',
        redirect: 'error',
        cache: 'no-store',
        credentials: 'omit',
        headers: { authorization: 'x', 'content-type': 'application/json' },
      },
    });
  });

  it.each<[string, Answer, object]>([
    ['freshness.nonce-mismatch', async () => new Response(await document('00'.repeat(32))), {}],
    [
      'pcr.mismatch',
      async (nonce) => new Response(await document(nonce, new Uint8Array(48).fill(5))),
      {},
    ],
    ['x509.untrusted-anchor', good, { trustAnchors: undefined }],
    ['quote.missing', good, { requireQuote: true }],
    ['fetch.status', () => new Response('no', { status: 503 }), {}],
    ['fetch.failed', () => Promise.reject(new TypeError('offline')), {}],
    ['evidence.empty', () => new Response(''), {}],
    ['evidence.empty', () => new Response(null), {}],
    ['evidence.unrecognized', () => new Response('<html>'), {}],
    ['evidence.too-large', () => new Response(new Uint8Array(1_048_577)), {}],
    ['fetch.timeout', () => new Promise<Response>(() => undefined), { timeLimitSeconds: 0.05 }],
  ])('rejects with %s', async (code, answer, options) => {
    expect(await codeOf(run(answer, options))).toBe(code);
  });

  it('stops reading an endless answer', async () => {
    let sent = 0;
    let cancelled = false;
    const endless = (_nonce: string, init: RequestInit): Response => {
      init.signal?.addEventListener('abort', () => {
        cancelled = true;
      });
      return new Response(
        new ReadableStream({
          pull(controller) {
            sent += 65_536;
            controller.enqueue(new Uint8Array(65_536));
          },
        }),
      );
    };
    expect(await codeOf(run(endless))).toBe('evidence.too-large');
    expect(sent).toBeLessThan(2_000_000);
    expect(cancelled).toBe(true);
  });

  it('fails when the answer breaks off', async () => {
    const broken: Answer = () =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new Uint8Array(10));
            controller.error(new TypeError('reset'));
          },
        }),
      );
    expect(await codeOf(run(broken))).toBe('fetch.failed');
  });

  it('ends with the reason of the signal, before and during the request', async () => {
    const reason = new Error('enough');
    expect(await codeOf(run(good, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const controller = new AbortController();
    let requestSignal: AbortSignal | null | undefined;
    const promise = run(
      (_nonce, init) => {
        requestSignal = init.signal;
        controller.abort(reason);
        return new Promise<Response>(() => undefined);
      },
      { signal: controller.signal },
    );
    expect(await codeOf(promise)).toBe(reason);
    expect(requestSignal?.aborted).toBe(true);
  });

  it('judges by the manifest as it was when it was called', async () => {
    const manifest = { ...MANIFEST };
    const promise = run(good, {}, manifest);
    manifest.PCR4 = '05'.repeat(48);
    expect(await codeOf(promise)).toBe('resolved');
  });

  it.each([
    [{ nonce: '00' }],
    [{ nonce: undefined }],
    [{ now: 'document' }],
    [{ timeLimitSeconds: 0 }],
    [{ timeLimitSeconds: Number.NaN }],
    [{ timeLimitSeconds: 1e9 }],
    [{ unknownOption: 1 }],
  ])('takes no %j', async (options) => {
    calls.length = 0;
    expect(await codeOf(run(good, options))).toBeInstanceOf(TypeError);
    expect(calls).toEqual([]);
  });

  it('needs a manifest', async () => {
    expect(await codeOf(run(good, {}, null as never))).toBeInstanceOf(TypeError);
  });
});
