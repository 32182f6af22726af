/**
 * `npm run bench:web`: figures out of Debian's Chromium. A whole warm verification beside the raw
 * WebCrypto cost of the very signatures in it (by turns, medians), and how long the verify
 * page takes from a drop to the verdict.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 300);
const DROPS = 15;
const root = fileURLToPath(new URL('..', import.meta.url));
const example = (name) => readFileSync(`${root}/examples/${name}`, 'utf8');

const server = createServer(({ url }, response) => {
  if (url === '/') {
    // An isolated page has a clock of 5 µs instead of 100.
    response.writeHead(200, {
      'content-type': 'text/html',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    });
    return response.end('<!doctype html><title>bench</title>');
  }
  try {
    const body = readFileSync(`${root}/dist${url}`);
    response.writeHead(200, { 'content-type': 'text/javascript' });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
});

try {
  const page = await browser.newPage();
  await page.goto(`http://localhost:${server.address().port}/`);
  const figures = await page.evaluate(measureVerification, {
    bundle: example('bundle.json'),
    manifest: example('manifest.json'),
    anchor: example('simulated-root.pem'),
    rounds: ROUNDS,
  });
  console.log(`Chromium ${browser.version()}, medians of ${ROUNDS} rounds, whole bundle`);
  console.log(
    `${'case'.padEnd(24)} ${'whole ms'.padStart(9)} ${'raw ms'.padStart(9)} ${'ratio'.padStart(7)}`,
  );
  for (const { name, whole, raw } of figures)
    console.log(
      `${name.padEnd(24)} ${whole.toFixed(3).padStart(9)} ${raw.toFixed(3).padStart(9)} ${(whole / raw).toFixed(2).padStart(7)}`,
    );

  const drops = [];
  for (let i = 0; i < DROPS; i++) {
    const fresh = await browser.newPage();
    await fresh.goto(pathToFileURL(`${root}/dist/page/index.html`).href);
    await fresh.waitForSelector('.sample');
    // Nobody drops a file sooner.
    await fresh.waitForTimeout(500);
    drops.push(
      await fresh.evaluate(measureDrop, {
        'bundle.json': example('bundle.json'),
        'manifest.json': example('manifest.json'),
        'root.pem': example('simulated-root.pem'),
      }),
    );
    await fresh.close();
  }
  for (const [index, what] of ['in the page', 'painted'].entries()) {
    const times = drops.map((drop) => drop[index]).sort((a, b) => a - b);
    console.log(
      `verify page, first drop to the verdict ${what}: median ${times[DROPS >> 1].toFixed(0)} ms, worst ${times[DROPS - 1].toFixed(0)} ms of ${DROPS}`,
    );
  }
} finally {
  await browser.close();
  server.close();
}

/** Runs in the page: our verification and, by turns with it, the same signatures by hand. */
async function measureVerification({ bundle, manifest, anchor, rounds }) {
  const verifier = await import('/browser.js');
  const base = { trustAnchors: [anchor], now: 'document' };
  let calls = [];
  const verifyByHand = async (algorithm, publicKey, message, signature) => {
    const [namedCurve, hash] = algorithm === 'ES384' ? ['P-384', 'SHA-384'] : ['P-256', 'SHA-256'];
    const key = await crypto.subtle.importKey(
      'raw',
      publicKey,
      { name: 'ECDSA', namedCurve },
      false,
      ['verify'],
    );
    return crypto.subtle.verify({ name: 'ECDSA', hash }, key, signature, message);
  };
  // One provider for both: what is remembered of a chain counts only for who checked it.
  const provider = {
    name: 'recorder',
    digest: async (algorithm, data) => new Uint8Array(await crypto.subtle.digest(algorithm, data)),
    verify(...call) {
      calls.push(call);
      return verifyByHand(...call);
    },
  };
  const record = async (chainMemory) => {
    calls = [];
    await verifier.verifyAttestation(bundle, manifest, { ...base, provider, chainMemory });
    return calls;
  };
  const raw = async (list) => {
    const valid = await Promise.all(list.map((call) => verifyByHand(...call)));
    if (valid.includes(false)) throw new Error('a signature is not valid');
  };
  const memory = new verifier.ChainMemory();
  const cold = await record(false);
  await record(memory);
  const warm = await record(memory);
  const verify = (chainMemory) => () =>
    verifier.verifyAttestation(bundle, manifest, { ...base, chainMemory });
  const remembered = new verifier.ChainMemory();
  await verify(remembered)();
  const cases = [
    [`warm, ${warm.length} signatures`, verify(remembered), () => raw(warm)],
    [`cold, ${cold.length} signatures`, verify(false), () => raw(cold)],
  ];
  const samples = cases.map(() => [[], []]);
  // The first half makes the engine compile everything that it will compile.
  for (const [index, [, ours, theirs]] of cases.entries())
    for (let round = -rounds; round < rounds; round++)
      for (const [column, run] of [ours, theirs].entries()) {
        const from = performance.now();
        for (let i = 0; i < 5; i++) await run();
        if (round >= 0) samples[index][column].push((performance.now() - from) / 5);
      }
  const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
  return cases.map(([name], index) => ({
    name,
    whole: median(samples[index][0]),
    raw: median(samples[index][1]),
  }));
}

/** Runs in the verify page: drops files, and waits until the verdict is painted. */
async function measureDrop(files) {
  const transfer = new DataTransfer();
  for (const [name, text] of Object.entries(files)) transfer.items.add(new File([text], name));
  const shown = new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (document.querySelector('.verdict') === null) return;
      observer.disconnect();
      const there = performance.now();
      requestAnimationFrame(() => setTimeout(() => resolve([there, performance.now()])));
    });
    observer.observe(document.getElementById('result'), { childList: true });
  });
  const from = performance.now();
  document.body.dispatchEvent(
    new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }),
  );
  return (await shown).map((at) => at - from);
}
