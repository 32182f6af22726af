import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportPKCS8, exportSPKI, generateKeyPair } from 'jose';
import { encodeBase64, encodeHex } from 'tee-verify/bytes';
import { createSigner, signManifest } from 'tee-verify/manifest';
import { createChallenges, type UsedChallenge, verifyResult } from 'tee-verify/result';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  MANIFEST,
  makeDocument,
  TRUST_ANCHORS,
} from '../../src/result/test-support/sample-evidence.js';
import { createRedisChallengeStore, type RedisChallengeStore } from './redis-challenge-store.js';
import { createVerifierHandler } from './verifier-handler.js';
import type { VerifierHandler } from './verifier-options.js';

const PYTHON = '/usr/bin/python3';

function has(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
const isRedisThere = has('redis-server', '--version');
const isPyJwtThere = has(PYTHON, '-c', 'import jwt, cryptography');
for (const [name, there] of [
  ['redis-server', isRedisThere],
  ['python3-jwt with python3-cryptography', isPyJwtThere],
] as const)
  if (!there) {
    if (process.env.CI) throw new Error(`${name} is missing: run scripts/system-setup.sh`);
    console.error(`SKIPPED: ${name} is not installed; its tests do not run`);
  }

const AUDIENCE = 'https://payments.example';
const KEY = new Uint8Array(32).fill(9);
const pair = await generateKeyPair('ES256', { extractable: true });
const signer = await createSigner(await exportPKCS8(pair.privateKey), { keyId: 'k1' });
const folder = mkdtempSync(join(tmpdir(), 'verifier-'));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

class Redis {
  #child: ChildProcess | undefined;
  readonly port: number;
  readonly #args: readonly string[];
  constructor(port: number, args: readonly string[] = ['--save', '']) {
    this.port = port;
    this.#args = args;
  }
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }
  async start(): Promise<void> {
    const child = spawn(
      'redis-server',
      [
        ...['--port', String(this.port), '--bind', '127.0.0.1', '--dir', folder],
        ...['--maxmemory-policy', 'noeviction', ...this.#args],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    children.push(child);
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error('redis-server ended')));
      child.stdout?.on('data', (data) => {
        if (String(data).includes('Ready to accept')) resolve();
      });
    });
  }
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }
  resume(): void {
    this.#child?.kill('SIGCONT');
  }
  cli(...args: string[]): string {
    return execFileSync('redis-cli', ['-p', String(this.port), ...args], { encoding: 'utf8' });
  }
}

const post = (handler: VerifierHandler, body: object): Promise<Response> =>
  handler(
    new Request('https://verifier.example/v1/results', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  );
const statusAndCode = async (response: Response): Promise<string> =>
  `${response.status} ${((await response.json()) as { code?: string }).code ?? 'token'}`;
async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const untilMs = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > untilMs) throw new Error(`${what} did not happen`);
    await sleep(25);
  }
}
const isUp = (store: RedisChallengeStore): Promise<boolean> =>
  store.check().then(
    () => true,
    () => false,
  );

describe.runIf(isRedisThere)('two handlers and one Redis', () => {
  let redis: Redis;
  let stores: RedisChallengeStore[];
  let handlers: VerifierHandler[];

  beforeEach(async () => {
    redis = new Redis(await freePort());
    await redis.start();
    stores = [0, 1].map(() =>
      createRedisChallengeStore({ url: redis.url, clockToleranceSeconds: 0, timeoutMs: 4000 }),
    );
    handlers = stores.map((store) =>
      createVerifierHandler({
        policies: [{ audience: AUDIENCE, manifest: MANIFEST }],
        challenges: createChallenges({ key: KEY, store, clockToleranceSeconds: 0 }),
        signer,
        verifyOptions: { trustAnchors: TRUST_ANCHORS },
        maxConcurrent: 1000,
      }),
    );
    for (const store of stores) await until(() => isUp(store), 'the connection');
    await sleep(5);
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await redis.stop();
  });
  const challenges = () => createChallenges({ key: KEY });
  const bodyFor = async (nonce: Uint8Array) => ({
    nonce: encodeHex(nonce),
    evidence: encodeBase64(await makeDocument(nonce)),
  });

  it('200 parallel clients that share 20 nonces: each is accepted exactly once', async () => {
    const bodies = await Promise.all(
      Array.from({ length: 20 }, () => bodyFor(challenges().issue(AUDIENCE).nonce)),
    );
    const clients = Array.from({ length: 200 }, async (_, client) => {
      const answers: string[] = [];
      for (let i = 0; i < bodies.length; i++) {
        const index = (i + client) % bodies.length;
        const handler = handlers[(i + client) % 2] as VerifierHandler;
        answers.push(
          `${index} ${await statusAndCode(await post(handler, bodies[index] as object))}`,
        );
      }
      return answers;
    });
    const answers = (await Promise.all(clients)).flat();
    expect(answers).toHaveLength(4000);
    for (const index of bodies.keys()) {
      const mine = answers.filter((answer) => answer.startsWith(`${index} `));
      expect(mine.filter((answer) => answer === `${index} 200 token`)).toHaveLength(1);
      expect(mine.filter((answer) => answer === `${index} 409 challenge.replayed`)).toHaveLength(
        199,
      );
    }
  });

  it('Redis stopped in the middle: fails closed with a code, recovers, forgets nothing', async () => {
    const [first, second] = handlers as [VerifierHandler, VerifierHandler];
    const used = await bodyFor(challenges().issue(AUDIENCE).nonce);
    const unused = await bodyFor(challenges().issue(AUDIENCE).nonce);
    expect(await statusAndCode(await post(first, used))).toBe('200 token');

    let accepted = 0;
    let refused = 0;
    let running = true;
    const load = Promise.all(
      handlers.map(async (handler) => {
        while (running) {
          const body = await bodyFor(challenges().issue(AUDIENCE).nonce);
          const answer = await statusAndCode(await post(handler, body));
          if (answer === '200 token') accepted++;
          else {
            refused++;
            expect(['503 challenge.store-unavailable', '410 challenge.store-restarted']).toContain(
              answer,
            );
          }
        }
      }),
    );
    await until(async () => accepted > 5, 'acceptance');
    await redis.stop('SIGKILL');
    await until(async () => refused > 5, 'refusal');
    expect(await statusAndCode(await post(second, unused))).toBe('503 challenge.store-unavailable');
    const ready = await first(new Request('https://x.example/readyz'));
    expect(await statusAndCode(ready)).toBe('503 challenge.store-unavailable');
    const before = accepted;
    await redis.start();
    await until(async () => accepted > before + 5, 'recovery');
    running = false;
    await load;
    // One of them may have answered all of these.
    for (const store of stores) await until(() => isUp(store), 'the other connection');
    // It came back empty: what it may have forgotten is refused, used or not.
    for (const handler of handlers)
      for (const body of [used, unused])
        expect(await statusAndCode(await post(handler, body))).toBe(
          '410 challenge.store-restarted',
        );
  });

  it('a flushed Redis is as good as a new one', async () => {
    const [first, second] = handlers as [VerifierHandler, VerifierHandler];
    const used = await bodyFor(challenges().issue(AUDIENCE).nonce);
    expect(await statusAndCode(await post(first, used))).toBe('200 token');
    redis.cli('FLUSHALL');
    expect(await statusAndCode(await post(second, used))).toBe('410 challenge.store-restarted');
    await sleep(5);
    const fresh = await bodyFor(challenges().issue(AUDIENCE).nonce);
    expect(await statusAndCode(await post(second, fresh))).toBe('200 token');
  });

  it('a Redis that hangs is no yes, and a full one neither', async () => {
    const [handler] = handlers as [VerifierHandler];
    const body = await bodyFor(challenges().issue(AUDIENCE).nonce);
    redis.pause();
    expect(await statusAndCode(await post(handler, body))).toBe('503 challenge.store-unavailable');
    redis.resume();
    await until(() => isUp(stores[0] as RedisChallengeStore), 'the answer');
    redis.cli('CONFIG', 'SET', 'maxmemory', '1');
    const other = await bodyFor(challenges().issue(AUDIENCE).nonce);
    expect(await statusAndCode(await post(handler, other))).toBe('503 challenge.store-unavailable');
  });

  it('keeps what was used as long as it could come again, and no longer', async () => {
    const [store] = stores as [RedisChallengeStore];
    const used = (id: string, keepMs: number): UsedChallenge => ({
      id,
      issuedAtMs: Date.now() + 50,
      keepMs,
    });
    expect(await store.consume(used('aa', 60_000))).toBe('fresh');
    expect(Number(redis.cli('PTTL', '{tee-challenge}:used:aa'))).toBeGreaterThan(50_000);
    expect(await store.consume(used('bb', 40))).toBe('fresh');
    expect(await store.consume(used('bb', 40))).toBe('used');
    await sleep(60);
    expect(redis.cli('EXISTS', '{tee-challenge}:used:bb').trim()).toBe('0');
  });
});

describe.runIf(isRedisThere)('a Redis that comes back with an old snapshot', () => {
  it('does not bring used challenges back to life', async () => {
    const redis = new Redis(await freePort(), ['--dbfilename', 'old.rdb', '--save', '3600 1']);
    await redis.start();
    const store = createRedisChallengeStore({
      url: redis.url,
      clockToleranceSeconds: 0,
      timeoutMs: 4000,
    });
    try {
      await until(() => isUp(store), 'the connection');
      await sleep(5);
      redis.cli('SAVE');
      const challenges = createChallenges({ key: KEY, store, clockToleranceSeconds: 0 });
      const { nonce } = challenges.issue(AUDIENCE);
      await challenges.consume(nonce, AUDIENCE);
      await redis.stop('SIGKILL');
      await redis.start();
      await until(() => isUp(store), 'the connection');
      expect(
        redis.cli('EXISTS', `{tee-challenge}:used:${encodeHex(nonce.subarray(0, 28))}`).trim(),
      ).toBe('0');
      await expect(challenges.consume(nonce, AUDIENCE)).rejects.toMatchObject({
        code: 'challenge.store-restarted',
      });
    } finally {
      await store.close();
      await redis.stop();
    }
  });
});

const SCRIPT = `
import json, sys, jwt
token, key, audience = sys.argv[1:4]
def claims(**more):
    options = dict(algorithms=["ES256", "ES384", "EdDSA"], audience=audience)
    options.update(more)
    return jwt.decode(token, open(key).read(), **options)
out = {"header": jwt.get_unverified_header(token), "claims": claims()}
try:
    claims(audience="https://other.example"); out["other"] = "accepted"
except jwt.InvalidAudienceError: out["other"] = "refused"
head, body, signature = token.split(".")
try:
    jwt.decode(head + "." + body + "." + ("A" * len(signature)), open(key).read(), algorithms=["ES256", "ES384", "EdDSA"], audience=audience); out["forged"] = "accepted"
except jwt.InvalidSignatureError: out["forged"] = "refused"
print(json.dumps(out))
`;

describe('the handler', () => {
  it('needs nothing of Node: it runs wherever there are Web standards', () => {
    const dist = new URL('../dist/', import.meta.url);
    const waiting = ['./service.js'];
    const seen = new Set<string>();
    const packages = new Set<string>();
    for (const file of waiting) {
      const text = readFileSync(new URL(file, dist), 'utf8');
      for (const [, specifier] of text.matchAll(/(?:from|import)\s*\(?['"]([^'"\s]+)['"]/g)) {
        const name = specifier as string;
        if (!name.startsWith('.')) packages.add(name);
        else if (!seen.has(name)) {
          seen.add(name);
          waiting.push(new URL(name, new URL(file, dist)).href);
        }
      }
      expect(text).not.toMatch(/\b(Buffer|process|require)\b\s*[.(]/);
    }
    expect([...packages].sort()).toEqual(['tee-verify', 'tee-verify/bytes', 'tee-verify/result']);
  });
});

describe('the command', () => {
  let base = '';
  let child: ChildProcess;
  let redis: Redis | undefined;
  const lines: string[] = [];
  const file = (name: string): string => join(folder, name);

  beforeAll(async () => {
    writeFileSync(file('manifest.jws'), await signManifest(MANIFEST, signer, { version: 3 }));
    writeFileSync(file('signer.pem'), await exportSPKI(pair.publicKey));
    writeFileSync(file('key.pem'), await exportPKCS8(pair.privateKey));
    writeFileSync(file('root.pem'), TRUST_ANCHORS.join(''));
    writeFileSync(file('challenge.txt'), `${encodeHex(KEY)}\n`);
    if (isRedisThere) {
      redis = new Redis(await freePort());
      await redis.start();
    }
    child = spawn(
      process.execPath,
      [
        ...['tools/service/bin/tee-verifier.js', 'serve', '--listen', '127.0.0.1:0'],
        ...['--policy', `${AUDIENCE}=${file('manifest.jws')}`],
        ...['--manifest-keys', file('signer.pem'), '--trust-anchor', file('root.pem')],
        ...['--signing-key', file('key.pem'), '--challenge-key', file('challenge.txt')],
        ...(redis === undefined ? [] : ['--redis', redis.url]),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    children.push(child);
    base = await new Promise<string>((resolve, reject) => {
      child.once('exit', (status) => reject(new Error(`tee-verifier ended with ${status}`)));
      child.stdout?.on('data', (data) => {
        lines.push(
          ...String(data)
            .split('\n')
            .filter((line) => line !== ''),
        );
        const address = /"address":"([^"]+)"/.exec(String(data))?.[1];
        if (address !== undefined) resolve(`http://${address}`);
      });
    });
    await until(async () => (await fetch(`${base}/readyz`)).status === 200, 'readiness');
  });
  afterAll(async () => {
    await redis?.stop();
  });

  it('verifies over HTTP with workers, and other JOSE implementations agree with its tokens', async () => {
    const { nonce } = (await (await fetch(`${base}/v1/challenge`)).json()) as { nonce: string };
    const document = await makeDocument(new Uint8Array(Buffer.from(nonce, 'hex')));
    const body = JSON.stringify({ nonce, evidence: encodeBase64(document) });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${base}/v1/results`, { method: 'POST', headers, body });
    const text = await response.text();
    expect(response.status, text).toBe(200);
    const { token } = JSON.parse(text) as { token: string };
    const jwks = (await (await fetch(`${base}/.well-known/jwks.json`)).json()) as never;
    const result = await verifyResult(token, jwks, { audience: AUDIENCE, nonce });
    expect(result.verifier.manifest?.trust).toMatchObject({ source: 'signature', version: 3 });
    if (isPyJwtThere) {
      const out = execFileSync(PYTHON, ['-c', SCRIPT, token, file('signer.pem'), AUDIENCE]);
      expect(JSON.parse(String(out))).toMatchObject({
        header: { alg: 'ES256', typ: 'eat+jwt' },
        claims: { aud: AUDIENCE, submods: { nitro: { ear_status: 'affirming' } } },
        other: 'refused',
        forged: 'refused',
      });
    }
    const again = await fetch(`${base}/v1/results`, { method: 'POST', headers, body });
    expect(await statusAndCode(again)).toBe('409 challenge.replayed');
    const large = await fetch(`${base}/v1/results`, {
      method: 'POST',
      headers,
      body: 'x'.repeat(2_000_000),
    });
    expect(await statusAndCode(large)).toBe('413 service.body-too-large');
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
  });

  it('finishes what is under way when it is told to stop', async () => {
    const { nonce } = (await (await fetch(`${base}/v1/challenge`)).json()) as { nonce: string };
    const document = await makeDocument(new Uint8Array(Buffer.from(nonce, 'hex')));
    const body = JSON.stringify({ nonce, evidence: encodeBase64(document) });
    const response = fetch(`${base}/v1/results`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      duplex: 'half',
      body: new ReadableStream({
        async start(controller) {
          controller.enqueue(new TextEncoder().encode(body.slice(0, 100)));
          await sleep(300);
          controller.enqueue(new TextEncoder().encode(body.slice(100)));
          controller.close();
        },
      }),
    } as RequestInit);
    await sleep(150);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    expect((await response).status).toBe(200);
    expect(await ended).toBe(0);
    for (const line of lines) expect(() => JSON.parse(line), line).not.toThrow();
    expect(lines.join('\n')).not.toContain(nonce);
  });

  it.each<readonly [string, readonly string[], number, RegExp]>([
    ['no options', [], 2, /required option '--policy/],
    ['no key', ['--policy', 'a=FOLDER/manifest.jws'], 2, /usage\.option-conflict.*--signing-key/],
    [
      'a signed manifest without keys',
      ['--policy', 'a=FOLDER/manifest.jws', '--signing-key', 'FOLDER/key.pem'],
      2,
      /--manifest-keys/,
    ],
    ['a policy without =', ['--policy', 'a'], 2, /audience/],
    [
      'a public key to sign with',
      ['--policy', 'a=FOLDER/manifest.jws', '--signing-key', 'FOLDER/signer.pem'],
      1,
      /key\.unusable/,
    ],
    [
      'no such file',
      ['--policy', 'a=FOLDER/none', '--signing-key', 'FOLDER/key.pem'],
      2,
      /file\.unreadable/,
    ],
    [
      'a manifest that is none',
      ['--policy', 'a=FOLDER/key.pem', '--signing-key', 'FOLDER/key.pem'],
      1,
      /manifest\.malformed/,
    ],
    [
      'Redis without a key',
      [
        '--policy',
        'a=FOLDER/manifest.jws',
        '--manifest-keys',
        'FOLDER/signer.pem',
        '--signing-key',
        'FOLDER/key.pem',
        '--redis',
        'redis://127.0.0.1:1',
      ],
      2,
      /--challenge-key/,
    ],
  ])('%s', (_name, args, status, message) => {
    const run = ((): { status: number; stderr: string } => {
      try {
        execFileSync(
          process.execPath,
          [
            'tools/service/bin/tee-verifier.js',
            'serve',
            ...args.map((arg) => arg.replace('FOLDER', folder)),
          ],
          { stdio: 'pipe', timeout: 20_000 },
        );
        return { status: 0, stderr: '' };
      } catch (error) {
        const { status: code, stderr } = error as { status: number; stderr: Buffer };
        return { status: code, stderr: String(stderr) };
      }
    })();
    expect(run.stderr).toMatch(message);
    expect(run.status, run.stderr).toBe(status);
    expect(run.stderr).not.toContain('    at ');
  });
});
