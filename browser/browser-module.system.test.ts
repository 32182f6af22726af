import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeBase64 } from '../src/bytes/base64-encode.js';
import { decodeHex, encodeHex } from '../src/bytes/hex.js';
import { loadCases } from '../test-vectors/load-cases.js';
import { createNitroPki, type NitroPki } from '../tools/simulator/nitro-pki.js';
import { type Browser, missing, startChromium } from './test-support/chromium.js';
import { makeEventLog, replayOf } from './test-support/make-event-log.js';
import { DIST, type Route, serve, type TestServer } from './test-support/serve.js';

const lacking = missing(`${DIST}browser.js`, `${DIST}service-worker.js`);
if (lacking !== undefined) {
  if (process.env.CI) throw new Error(`missing for tests in Chromium: ${lacking}`);
  console.warn(`SKIPPED: the module in Chromium; missing: ${lacking}`);
}

const STRICT =
  "default-src 'none'; script-src 'self'; connect-src 'self'; worker-src 'self'; require-trusted-types-for 'script'";
const WITH_WASM = STRICT.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'");
const INSECURE_HOST = 'insecure.test';
const PAGE =
  '<!doctype html><html lang="en"><title>test</title><script type="module" src="/page.js"></script>';
const LOAD = "const load = () => import('/browser.js');";

const WORKER = `
import { runVectors } from '/runner.js';
import * as verifier from '/browser.js';
addEventListener('message', async ({ data: step }) => {
  const cases = await (await fetch('/cases.json')).json();
  postMessage(await runVectors(verifier, cases, step));
});`;
const SERVICE_WORKER = `
import { inspectAttestation } from '/service-worker.js';
addEventListener('install', () => self.skipWaiting());
addEventListener('message', (event) => event.waitUntil((async () => {
  const { evidence, manifest, options } = event.data;
  const answer = await inspectAttestation(evidence, manifest, options).catch(String);
  event.source.postMessage(answer);
})()));`;
const EVENTS = [
  [4, 'boot loader'],
  [12, 'command line'],
] as const;

describe.skipIf(lacking !== undefined)('the module in Chromium', () => {
  const cases = loadCases();
  /** jose needs WebCrypto: signed manifests can't be read on an insecure origin. */
  const unsigned = cases.filter(({ options }) => options.manifestKeys === undefined);
  const files: Record<string, Route> = {
    '/index.html': PAGE,
    '/page.js': `import { runVectors } from '/runner.js'; ${LOAD}
      globalThis.run = async (name, step) =>
        runVectors(await load(), await (await fetch(name)).json(), step);
      globalThis.load = load;`,
    '/runner.js': readFileSync(new URL('./test-support/vector-runner.js', import.meta.url), 'utf8'),
    '/cases.json': JSON.stringify(cases),
    '/unsigned.json': JSON.stringify(unsigned),
    '/worker.js': WORKER,
    '/sw.js': SERVICE_WORKER,
  };
  let strict: TestServer;
  let withWasm: TestServer;
  let browser: Browser;
  let pki: NitroPki;

  beforeAll(async () => {
    pki = await createNitroPki();
    const answer: Route = async (nonce) =>
      pki.issueDocument({
        platform: 'nitrotpm',
        moduleId: 'i-0123456789abcdef0-tpm0000000000000000',
        timestampMs: Date.now(),
        pcrs: { 4: new Uint8Array(48).fill(4), 12: new Uint8Array(48) },
        nonce: decodeHex(nonce),
      });
    files['/attest'] = answer;
    files['/silent'] = async () => undefined;
    strict = await serve(files, STRICT);
    withWasm = await serve(files, WITH_WASM);
    const hosts = ['127.0.0.1', 'localhost', INSECURE_HOST];
    browser = await startChromium(
      [strict, withWasm].flatMap(({ port }) => hosts.map((host) => `http://${host}:${port}/`)),
      { args: [`--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`] },
    );
  });
  afterAll(async () => {
    await browser?.close();
    await strict?.close();
    await withWasm?.close();
  });

  /** Runs vectors in a page of this origin: every case, or every nth. */
  async function vectors(
    origin: string,
    name = '/cases.json',
    step = 1,
  ): Promise<{ count: number; wrong: string[]; providers: string[]; secure: boolean }> {
    browser.requests.length = 0;
    const page = await browser.open(`${origin}/index.html`);
    await page.waitForFunction(() => 'run' in globalThis);
    const result = await page.evaluate(
      async ([file, every]) => ({
        ...(await (
          globalThis as unknown as {
            run(
              file: string,
              step: number,
            ): Promise<{ count: number; wrong: string[]; providers: string[] }>;
          }
        ).run(file as string, every as number)),
        secure: isSecureContext,
      }),
      [name, step] as const,
    );
    await page.close();
    return result;
  }

  function nothingStrange(): void {
    expect(browser.strangers).toEqual([]);
    expect(browser.complaints).toEqual([]);
  }

  it('judges every vector as expected, with WebCrypto and under a strict policy', async () => {
    const result = await vectors(`http://localhost:${strict.port}`);
    expect(result).toEqual({
      count: cases.length,
      wrong: [],
      providers: ['webcrypto'],
      secure: true,
    });
    nothingStrange();
    // Neither noble nor WebAssembly was loaded; jose only because of the signed manifests.
    expect(browser.requests.filter((url) => /noble|wasm/.test(url))).toEqual([]);
  });

  it('judges every vector as expected on an insecure origin, with WebAssembly', async () => {
    const result = await vectors(`http://${INSECURE_HOST}:${withWasm.port}`, '/unsigned.json');
    expect(result).toEqual({
      count: unsigned.length,
      wrong: [],
      providers: ['wasm'],
      secure: false,
    });
    nothingStrange();
  });

  it('falls back to noble where the policy forbids WebAssembly, and says why', async () => {
    const result = await vectors(`http://${INSECURE_HOST}:${strict.port}`, '/unsigned.json');
    expect(result).toMatchObject({ count: unsigned.length, wrong: [], secure: false });
    const fallbacks = result.providers.filter((name) => name !== 'wasm');
    expect(fallbacks).toEqual([
      expect.stringMatching(/^noble \(WebAssembly: .*Content Security Policy/),
    ]);
    // Asking for WebAssembly is what the policy reports; nothing else may be.
    expect(browser.complaints.every((text) => /wasm-eval|WebAssembly/.test(text))).toBe(true);
    expect(browser.strangers).toEqual([]);
    browser.complaints.length = 0;
  });

  it('verifies on the page of an insecure origin, with noble, and breaks no policy', async () => {
    const page = await browser.open(`http://${INSECURE_HOST}:${strict.port}/page/index.html`);
    await page.getByRole('button', { name: /Genuine/ }).click();
    await page.locator('.verdict.verified').waitFor();
    expect(await page.locator('.report').innerText()).toMatch(/noble \(no WebCrypto/);
    await page.close();
    nothingStrange();
  });

  it('works in a worker', async () => {
    const page = await browser.open(`http://localhost:${strict.port}/index.html`);
    const result = await page.evaluate(
      () =>
        new Promise((resolve, reject) => {
          const worker = new Worker(
            (
              globalThis as unknown as {
                trustedTypes: {
                  createPolicy(n: string, r: object): { createScriptURL(u: string): string };
                };
              }
            ).trustedTypes
              .createPolicy('worker', { createScriptURL: (url: string) => url })
              .createScriptURL('/worker.js'),
            { type: 'module' },
          );
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
          worker.postMessage(8);
        }),
    );
    expect(result).toMatchObject({ wrong: [], providers: ['webcrypto'] });
    await page.close();
    nothingStrange();
  });

  it('works in a service worker, with event logs and signed manifests', async () => {
    const page = await browser.open(`http://localhost:${strict.port}/index.html`);
    const document = await pki.issueDocument({
      platform: 'nitrotpm',
      moduleId: 'i-0123456789abcdef0-tpm0000000000000000',
      timestampMs: Date.now(),
      pcrs: { 4: replayOf(EVENTS, 4), 12: replayOf(EVENTS, 12) },
    });
    const withLog = {
      evidence: {
        attestation: { nitro: { document: encodeHex(document) } },
        event_log: encodeBase64(makeEventLog(EVENTS)),
      },
      manifest: { PCR4: encodeHex(replayOf(EVENTS, 4)), PCR12: encodeHex(replayOf(EVENTS, 12)) },
      options: { trustAnchors: [pki.rootPem] },
    };
    const signed = cases.find(({ id }) => id === 'manifest-signed-good');
    if (signed === undefined) throw new Error('no signed manifest among the vectors');
    const withKeys = {
      evidence: signed.input.value,
      manifest: signed.manifest,
      options: {
        ...signed.options,
        now: new Date(signed.nowMs),
        trustAnchors: signed.trustAnchorsPem,
      },
    };
    const reports = await page.evaluate(
      async (messages) => {
        const policy = (
          globalThis as unknown as {
            trustedTypes: {
              createPolicy(n: string, r: object): { createScriptURL(u: string): string };
            };
          }
        ).trustedTypes.createPolicy('sw', { createScriptURL: (url: string) => url });
        await navigator.serviceWorker.register(policy.createScriptURL('/sw.js'), {
          type: 'module',
        });
        const { active } = await navigator.serviceWorker.ready;
        const answers: unknown[] = [];
        for (const message of messages)
          answers.push(
            await new Promise((resolve) => {
              navigator.serviceWorker.onmessage = ({ data }) => resolve(data);
              active?.postMessage(message);
            }),
          );
        return answers;
      },
      [withLog, withKeys],
    );
    expect(reports[0]).toMatchObject({ verdict: 'verified', eventLog: { eventCount: 2 } });
    expect(reports[1]).toMatchObject({ verdict: 'verified' });
    await page.close();
    nothingStrange();
  });

  it('asks an endpoint and gives only what is verified', async () => {
    const page = await browser.open(`http://localhost:${strict.port}/index.html`);
    await page.waitForFunction(() => 'load' in globalThis);
    const ask = (path: string, pcr4: string): Promise<unknown> =>
      page.evaluate(
        async ([url, root, expected]) => {
          const { fetchAndVerify } = await (
            globalThis as unknown as {
              load(): Promise<typeof import('./index.js')>;
            }
          ).load();
          const manifest = { PCR4: expected, PCR12: '00'.repeat(48) };
          const options = { trustAnchors: [root], timeLimitSeconds: 1 };
          return fetchAndVerify(url, manifest, options).then(
            ({ pcrs }) => pcrs['4'],
            ({ code }) => code,
          );
        },
        [path, pki.rootPem, pcr4] as const,
      );
    expect(await ask('/attest', '04'.repeat(48))).toBe('04'.repeat(48));
    expect(await ask('/attest', '05'.repeat(48))).toBe('pcr.mismatch');
    expect(await ask('/silent', '04'.repeat(48))).toBe('fetch.timeout');
    nothingStrange();
    await page.close();
  });
});
