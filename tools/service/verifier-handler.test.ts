import { exportPKCS8, generateKeyPair } from 'jose';
import { AttestationError, type VerifyOptions } from 'tee-verify';
import { encodeBase64, encodeHex } from 'tee-verify/bytes';
import { createSigner } from 'tee-verify/manifest';
import {
  type ChallengeStore,
  createChallenges,
  createMemoryChallengeStore,
  RESULT_CODES,
  verifyResult,
} from 'tee-verify/result';
import { describe, expect, it } from 'vitest';
import {
  MANIFEST,
  makeDocument,
  PCRS,
  TRUST_ANCHORS,
} from '../../src/result/test-support/sample-evidence.js';
import type { LogEntry } from './log-entry.js';
import { ROUTES } from './routes.js';
import { checkSchema } from './test-support/check-schema.js';
import { createVerifierHandler } from './verifier-handler.js';
import type { VerifierHandler, VerifierHandlerOptions } from './verifier-options.js';

const AUDIENCE = 'https://payments.example';
const BASE = 'https://verifier.example';
const KEY = new Uint8Array(32).fill(9);
const pair = await generateKeyPair('ES256', { extractable: true });
const signer = await createSigner(await exportPKCS8(pair.privateKey), { keyId: 'k1' });

interface SetUp {
  readonly handler: VerifierHandler;
  readonly log: LogEntry[];
}
function setUp(options: Partial<VerifierHandlerOptions> = {}, store?: ChallengeStore): SetUp {
  const log: LogEntry[] = [];
  const handler = createVerifierHandler({
    policies: [{ audience: AUDIENCE, manifest: MANIFEST }],
    challenges: createChallenges({ key: KEY, store: store ?? createMemoryChallengeStore() }),
    signer,
    verifyOptions: { trustAnchors: TRUST_ANCHORS },
    log: (entry) => log.push(entry),
    ...options,
  });
  return { handler: checked(handler), log };
}

interface Operation {
  readonly responses: Record<string, { readonly content?: Record<string, { schema: object }> }>;
}
interface OpenApi {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, object> };
}
let document: OpenApi | undefined;
const seen = new Set<string>();

/** Holds every answer of the tests against the OpenAPI document that the handler serves. */
function checked(handler: VerifierHandler): VerifierHandler {
  const wrapped = async (request: Request): Promise<Response> => {
    document ??= (await (await handler(new Request(`${BASE}/openapi.json`))).json()) as OpenApi;
    const { pathname } = new URL(request.url);
    const response = await handler(request);
    const operation = document.paths[pathname]?.[request.method.toLowerCase()];
    if (operation === undefined) return response;
    const described = operation.responses[String(response.status)];
    expect(described, `${request.method} ${pathname} ${response.status}`).toBeDefined();
    seen.add(`${request.method} ${pathname} ${response.status}`);
    const type = (response.headers.get('content-type') as string).split(';')[0] as string;
    const schema = described?.content?.[type]?.schema;
    expect(schema, `${pathname} ${response.status} ${type}`).toBeDefined();
    const text = await response.clone().text();
    if (type.endsWith('json'))
      expect(
        checkSchema(JSON.parse(text), schema as object, document.components.schemas),
        `${pathname}: ${text}`,
      ).toEqual([]);
    return response;
  };
  return Object.assign(wrapped, { drain: handler.drain, answer: handler.answer });
}

const get = (handler: VerifierHandler, path: string): Promise<Response> =>
  handler(new Request(`${BASE}${path}`));
const post = (
  handler: VerifierHandler,
  body: unknown,
  headers: Record<string, string> = { 'content-type': 'application/json' },
): Promise<Response> =>
  handler(
    new Request(`${BASE}/v1/results`, {
      method: 'POST',
      headers,
      body: typeof body === 'string' ? body : JSON.stringify(body),
    }),
  );
async function challenge(handler: VerifierHandler, audience?: string): Promise<Uint8Array> {
  const query = audience === undefined ? '' : `?audience=${encodeURIComponent(audience)}`;
  const { nonce } = (await (await get(handler, `/v1/challenge${query}`)).json()) as {
    nonce: string;
  };
  return new Uint8Array(Buffer.from(nonce, 'hex'));
}
async function answer(nonce: Uint8Array, document_?: Uint8Array) {
  return {
    nonce: encodeHex(nonce),
    evidence: encodeBase64(document_ ?? (await makeDocument(nonce))),
  };
}
const codeOf = async (response: Response): Promise<string> =>
  ((await response.json()) as { code: string }).code;

describe('evidence in, result out', () => {
  it('challenge, evidence, token; and a service behind believes it', async () => {
    const { handler, log } = setUp({ issuer: BASE, resultLifetimeSeconds: 60 });
    const nonce = await challenge(handler);
    const response = await post(handler, await answer(nonce));
    expect(response.status).toBe(200);
    const { token } = (await response.json()) as { token: string };
    const jwks = (await (await get(handler, '/.well-known/jwks.json')).json()) as never;
    const result = await verifyResult(token, jwks, { audience: AUDIENCE, issuer: BASE, nonce });
    expect(result.status).toBe('affirming');
    expect(result.verifier.manifest_name).toBe('payments');
    expect(result.expiresAtMs - result.issuedAtMs).toBe(60_000);
    expect(log.at(-2)).toMatchObject({ route: '/v1/results', status: 200, code: 'verified' });
    expect(log.at(-2)?.requestId).toBe(response.headers.get('x-request-id'));
  });

  it('each audience has its policy, and its own challenges', async () => {
    const other = JSON.stringify({ ...JSON.parse(MANIFEST), name: 'other' });
    const policies = [
      { audience: 'a', manifest: MANIFEST },
      { audience: 'b', manifest: other },
    ];
    const { handler } = setUp({ policies });
    const nonce = await challenge(handler, 'a');
    const body = await answer(nonce);
    expect(await codeOf(await post(handler, { ...body, audience: 'b' }))).toBe(
      'challenge.wrong-audience',
    );
    expect(await codeOf(await post(handler, body))).toBe('service.audience-unknown');
    expect(await codeOf(await post(handler, { ...body, audience: 'c' }))).toBe(
      'service.audience-unknown',
    );
    expect(await codeOf(await get(handler, '/v1/challenge'))).toBe('service.audience-unknown');
    const response = await post(handler, { ...body, audience: 'a' });
    const { token } = (await response.json()) as { token: string };
    expect((await verifyResult(token, [signer.publicJwk as never], { audience: 'a' })).status).toBe(
      'affirming',
    );
  });

  it('a challenge is good for one answer, whatever the answer is', async () => {
    const { handler } = setUp();
    const nonce = await challenge(handler);
    const wrong = await answer(
      nonce,
      await makeDocument(nonce, new Map([...PCRS, [4, new Uint8Array(48).fill(1)]])),
    );
    const response = await post(handler, wrong);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: 'pcr.mismatch', step: 'pcr' });
    const again = await post(handler, await answer(nonce));
    expect([again.status, await codeOf(again)]).toEqual([409, 'challenge.replayed']);
  });

  it('evidence for another challenge is refused', async () => {
    const { handler } = setUp();
    const first = await challenge(handler);
    const second = await challenge(handler);
    const mixed = { ...(await answer(first)), nonce: encodeHex(second) };
    expect(await codeOf(await post(handler, mixed))).toBe('freshness.nonce-mismatch');
  });

  it('200 clients with one nonce at two handlers with one store: one token', async () => {
    const store = createMemoryChallengeStore();
    const handlers = [setUp({}, store).handler, setUp({}, store).handler];
    const nonce = await challenge(handlers[0] as VerifierHandler);
    const body = await answer(nonce);
    const responses = await Promise.all(
      Array.from({ length: 200 }, (_, i) => post(handlers[i % 2] as VerifierHandler, body)),
    );
    const statuses = responses.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(199);
  });
});

describe('requests that cannot be used', () => {
  const nonce = '01'.repeat(48);
  it.each<readonly [string, unknown, number, string]>([
    ['no JSON', '{', 400, 'service.body-invalid'],
    ['empty', '', 400, 'service.body-invalid'],
    ['a list', [], 400, 'service.body-invalid'],
    ['null', null, 400, 'service.body-invalid'],
    ['no nonce', { evidence: 'AA' }, 400, 'service.body-invalid'],
    ['nonce as number', { nonce: 1, evidence: 'AA' }, 400, 'service.body-invalid'],
    ['no evidence', { nonce }, 400, 'service.body-invalid'],
    ['evidence as list', { nonce, evidence: [] }, 400, 'service.body-invalid'],
    ['evidence empty', { nonce, evidence: '' }, 400, 'service.body-invalid'],
    ['an unknown field', { nonce, evidence: 'AA', manifest: {} }, 400, 'service.body-invalid'],
    ['audience as number', { nonce, evidence: 'AA', audience: 1 }, 400, 'service.body-invalid'],
    ['a nonce nobody issued', { nonce, evidence: 'AA' }, 400, 'challenge.forged'],
    ['a short nonce', { nonce: '01', evidence: 'AA' }, 400, 'challenge.malformed'],
    [
      'a nonce that is no hex',
      { nonce: 'zz'.repeat(48), evidence: 'AA' },
      400,
      'challenge.malformed',
    ],
    ['too large', { nonce, evidence: 'A'.repeat(1_572_864) }, 413, 'service.body-too-large'],
  ])('%s', async (_name, body, status, code) => {
    const { handler } = setUp();
    const response = await post(handler, body);
    expect([response.status, await codeOf(response)]).toEqual([status, code]);
  });

  it('deep nesting is no fault of ours', async () => {
    const { handler } = setUp();
    const deep = `{"nonce":"${encodeHex(await challenge(handler))}","evidence":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`;
    const response = await post(handler, deep);
    expect([400, 422]).toContain(response.status);
    expect(await codeOf(response)).toMatch(/^(service\.body-invalid|evidence\.)/);
  });

  it.each(['text/plain', 'application/jsonp', 'multipart/form-data', ''])('as %s', async (type) => {
    const response = await post(setUp().handler, {}, { 'content-type': type });
    expect([response.status, await codeOf(response)]).toEqual([415, 'service.media-type']);
  });

  it('an announced length and a streamed one are both limited', async () => {
    const { handler } = setUp({ maxBodyBytes: 100 });
    const length = { 'content-type': 'application/json', 'content-length': '101' };
    expect(await codeOf(await post(handler, '{}', length))).toBe('service.body-too-large');
    let pulled = 0;
    const body = new ReadableStream({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(50));
      },
    });
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      duplex: 'half',
    };
    const response = await handler(new Request(`${BASE}/v1/results`, init as RequestInit));
    expect(await codeOf(response)).toBe('service.body-too-large');
    expect(pulled).toBeLessThan(10);
  });

  it('a body that never ends, and verification that does not, time out', async () => {
    const { handler } = setUp({ timeoutMs: 30 });
    const body = new ReadableStream({});
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      duplex: 'half',
    };
    const response = await handler(new Request(`${BASE}/v1/results`, init as RequestInit));
    expect([response.status, await codeOf(response)]).toEqual([503, 'service.timeout']);
    const slow = setUp({ timeoutMs: 30, inspect: () => new Promise(() => undefined) }).handler;
    expect(await codeOf(await post(slow, await answer(await challenge(slow))))).toBe(
      'service.timeout',
    );
  });

  it('other paths and methods', async () => {
    const { handler } = setUp();
    expect(await codeOf(await get(handler, '/v1/result'))).toBe('service.not-found');
    expect(await codeOf(await get(handler, '/constructor'))).toBe('service.not-found');
    for (const [path, method] of Object.entries(ROUTES)) {
      const other = method === 'GET' ? 'POST' : 'GET';
      const response = await handler(new Request(`${BASE}${path}`, { method: other }));
      expect([response.status, response.headers.get('allow')]).toEqual([405, method]);
    }
  });
});

describe('operation', () => {
  it('fails closed when the store does, and says so at /readyz', async () => {
    let up = false;
    const memory = createMemoryChallengeStore();
    const store: ChallengeStore = {
      consume: (used) => (up ? memory.consume(used) : Promise.reject(new Error('down'))),
      check: () => (up ? Promise.resolve() : Promise.reject(new Error('down'))),
    };
    const { handler } = setUp({}, store);
    const nonce = await challenge(handler);
    const body = await answer(nonce);
    const response = await post(handler, body);
    expect([response.status, await codeOf(response)]).toEqual([503, 'challenge.store-unavailable']);
    expect(response.headers.get('retry-after')).toBe('1');
    expect((await get(handler, '/readyz')).status).toBe(503);
    expect((await get(handler, '/healthz')).status).toBe(200);
    up = true;
    expect((await get(handler, '/readyz')).status).toBe(200);
    expect((await post(handler, body)).status).toBe(200);
    const full = setUp({}, createMemoryChallengeStore({ capacity: 1 })).handler;
    await post(full, { nonce: encodeHex(await challenge(full)), evidence: 'AA' });
    const refused = await post(full, { nonce: encodeHex(await challenge(full)), evidence: 'AA' });
    expect(await codeOf(refused)).toBe('challenge.store-full');
  });

  it('signer and pool that fail are 503, faults of our own 500 without details', async () => {
    const failing = { ...signer, sign: () => Promise.reject(new Error('secret')) };
    for (const [options, status, code] of [
      [{ signer: failing }, 503, 'result.signer-failed'],
      [
        {
          inspect: () => Promise.reject(new AttestationError(RESULT_CODES['challenge.store-full'])),
        },
        503,
        'challenge.store-full',
      ],
      [{ inspect: () => Promise.reject(new TypeError('secret')) }, 500, 'service.internal'],
      [
        { inspect: async () => ({ verdict: 'verified' }) as never },
        500,
        'result.report-contradictory',
      ],
      [
        {
          inspect: async (_e: unknown, _m: unknown, o: VerifyOptions) =>
            ({
              verdict: 'rejected',
              code: 'manifest.expired',
              step: 'manifest',
              message: `manifest.expired: x; ${o.nonce}`,
            }) as never,
        },
        503,
        'manifest.expired',
      ],
    ] as const) {
      const { handler, log } = setUp(options as never);
      const response = await post(handler, await answer(await challenge(handler)));
      const text = await response.text();
      expect([response.status, JSON.parse(text).code]).toEqual([status, code]);
      expect(text).not.toContain('secret');
      if (code === 'service.internal')
        expect(log.at(-1)).toMatchObject({ level: 'error', error: 'secret' });
    }
  });

  it('limits how many verify at once, and asks the rate limit first', async () => {
    let free: () => void = () => undefined;
    const blocked = new Promise<void>((resolve) => {
      free = resolve;
    });
    const { handler } = setUp({
      maxConcurrent: 1,
      inspect: async () => {
        await blocked;
        return {
          verdict: 'rejected',
          code: 'cbor.malformed',
          message: 'cbor.malformed: x',
        } as never;
      },
    });
    const first = post(handler, await answer(await challenge(handler)));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await codeOf(await post(handler, {}))).toBe('service.overloaded');
    free();
    expect((await first).status).toBe(422);
    const limited = setUp({
      rateLimit: (_request, route) => (route === '/v1/results' ? 1.2 : undefined),
    }).handler;
    const response = await post(limited, {});
    expect([response.status, response.headers.get('retry-after'), await codeOf(response)]).toEqual([
      429,
      '2',
      'service.rate-limited',
    ]);
    expect((await get(limited, '/v1/challenge')).status).toBe(200);
    const all = setUp({ rateLimit: async () => 1 }).handler;
    expect((await get(all, '/v1/challenge')).status).toBe(429);
    expect((await get(all, '/healthz')).status).toBe(200);
  });

  it('drains', async () => {
    const { handler } = setUp();
    handler.drain();
    expect(await codeOf(await get(handler, '/readyz'))).toBe('service.draining');
    expect((await post(handler, await answer(await challenge(handler)))).status).toBe(200);
  });

  it('counts, with labels from fixed tables', async () => {
    const { handler } = setUp();
    await post(handler, await answer(await challenge(handler)));
    await post(handler, await answer(await challenge(handler), new Uint8Array(5)));
    await get(handler, '/x"} 1\n/evil');
    const text = await (await get(handler, '/metrics')).text();
    for (const line of [
      'tee_verifier_challenges_total 2',
      'tee_verifier_results_total{code="verified"} 1',
      'tee_verifier_results_total{code="evidence.unrecognized"} 1',
      'tee_verifier_requests_total{route="/v1/results",status="200"} 1',
      'tee_verifier_requests_total{route="other",status="404"} 1',
      'tee_verifier_in_flight 0',
      'tee_verifier_result_duration_seconds_count 2',
    ])
      expect(text.split('\n')).toContain(line);
    expect(text).not.toContain('evil');
  });

  it('nothing of the evidence, the nonce or the client\u2019s own words gets into the log', async () => {
    const { handler, log } = setUp();
    const nonce = await challenge(handler);
    const body = await answer(nonce);
    await post(handler, body);
    await post(handler, body);
    await get(handler, '/secret-path?secret=query');
    await handler(new Request(`${BASE}/healthz`, { method: 'SECRET' }));
    const text = JSON.stringify(log);
    for (const secret of [
      encodeHex(nonce),
      'i-0123456789abcdef0',
      'a4a4',
      'secret',
      'SECRET',
      body.evidence.slice(0, 40),
    ])
      expect(text).not.toContain(secret);
    expect(log.every(({ event }) => event === 'request')).toBe(true);
  });

  it.each<readonly [string, object]>([
    ['no policies', { policies: [] }],
    [
      'two for one audience',
      { policies: [1, 2].map(() => ({ audience: 'a', manifest: MANIFEST })) },
    ],
    ['a policy without manifest', { policies: [{ audience: 'a' }] }],
    ['a signer nobody knows', { signer: { ...signer, publicJwk: undefined } }],
    ['a private key to publish', { otherPublicKeys: [{ kty: 'EC', d: 'x' }] }],
    ['a body of 0', { maxBodyBytes: 0 }],
    ['a timeout of NaN', { timeoutMs: Number.NaN }],
  ])('%s is a TypeError', (_name, options) => {
    expect(() => setUp(options as never)).toThrow(TypeError);
  });

  it('an old challenge is gone', async () => {
    const { handler } = setUp();
    const clock = (): number => Date.now() - 1_000_000;
    const { nonce } = createChallenges({ key: KEY, clock }).issue(AUDIENCE);
    const response = await post(handler, await answer(nonce));
    expect([response.status, await codeOf(response)]).toEqual([410, 'challenge.expired']);
    expect((await get(handler, '/openapi.json')).status).toBe(200);
  });

  it('the OpenAPI document knows every path, and the tests saw each of its answers', () => {
    expect(Object.keys(document?.paths ?? {}).sort()).toEqual(Object.keys(ROUTES).sort());
    for (const [path, operations] of Object.entries(document?.paths ?? {}))
      for (const [method, { responses }] of Object.entries(operations))
        for (const status of Object.keys(responses)) {
          const known = `${method.toUpperCase()} ${path} ${status}`;
          expect([...seen]).toContain(known);
        }
  });
});
