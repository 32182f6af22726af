/**
 * `npm run bench:service`: what the verifier service costs on top of verifying. A load generator in
 * a process of its own posts evidence, each with a challenge of its own, over loopback; the server
 * is one process that verifies on its own thread. Beside it, in turns: the same evidence verified in
 * a loop in the same kind of process, with the same provider. The ratio of the two is the overhead.
 *
 * Two cases: `one instance`, whose certificates are all remembered but the leaf's own; and `a fleet`,
 * where every request comes from another instance, which has a CA certificate of its own.
 *
 * Cores share what they have, so that one alone is faster than beside another: while the loop
 * runs, the load generator posts as much as before, to a server that only answers.
 *
 * Both have run for a while when the clock starts: V8 takes some thousand verifications until its code
 * is as fast as it will be.
 *
 * BENCH_SECONDS (default 1.5) a round, BENCH_ROUNDS (default 11), BENCH_CLIENTS (default 32): short
 * rounds in turns, because a shared machine is fast and slow by turns, too.
 */
import { fork } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 1.5);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 11);
const CLIENTS = Number(process.env.BENCH_CLIENTS ?? 32);
const AUDIENCE = 'https://bench.example';
/** Challenges live for an hour at most: all of them are made beforehand. */
const LIFETIME_SECONDS = 3600;
/** All of them are in memory, each several times. */
const MAX_BODIES = 20_000;
/** For warming up; all from one instance, since they are made the fastest. */
const WARM_UP = 6000;
/** Making an instance with its certificates takes longer than verifying it. */
const MAX_FLEET = Number(process.env.BENCH_FLEET ?? 3000);

const role = process.argv[2] ?? 'main';
const roles = { main, server, raw, echo };
await roles[role]();

/**
 * Bundles of simulated machines, as `tee-attest` writes them; each carries a challenge, and none is
 * used twice. The first WARM_UP are all from one machine.
 */
async function makeBodies(count, key, instances) {
  const { createNitroPki } = await import('../build/tools/simulator/nitro-pki.js');
  const { manifestFor, mintAk, mintQuote, nitroTpmPcrs, writeBundle } = await import(
    '../build/test-vectors/mint/index.js'
  );
  const { createChallenges } = await import('../dist/result.js');
  const { encodeHex } = await import('../dist/bytes.js');
  const pki = await createNitroPki();
  const challenges = createChallenges({ key, lifetimeSeconds: LIFETIME_SECONDS });
  const pcrs = nitroTpmPcrs();
  const bodies = [];
  let ak;
  for (let i = 0; i < WARM_UP + count; i++) {
    const instance = i < WARM_UP ? 0 : i % instances;
    if (ak === undefined || instance !== 0) ak = await mintAk();
    const { nonce } = challenges.issue(AUDIENCE);
    const document = await pki.issueDocument({
      platform: 'nitrotpm',
      moduleId: `i-${instance.toString(16).padStart(17, '0')}-tpm0000000000000000`,
      timestampMs: Date.now(),
      pcrs,
      nonce,
      publicKey: ak.point,
    });
    const evidence = writeBundle(
      { version: 1, tpmtPublic: true },
      { nonce, pcrs, ak, document, quote: await mintQuote({ ak, nonce, pcrs }) },
    );
    // As texts: so many objects would make every collection of garbage slow.
    bodies.push({ nonce: encodeHex(nonce), evidence: JSON.stringify(evidence) });
  }
  return {
    bodies,
    root: pki.rootPem,
    reference: JSON.stringify(manifestFor(pcrs, 'nitrotpm', [4, 7, 12])),
  };
}

/** The service: handler, store in memory, key in memory, verification on this thread. */
async function server() {
  process.once('message', async ({ key, root, reference, provider, keyFile }) => {
    const { createVerifierHandler } = await import('../tools/dist/service.js');
    const { listen } = await import('../build/tools/service/node-server.js');
    const { readSigningKey } = await import('../build/tools/common/signing-key.js');
    const { createChallenges, createMemoryChallengeStore } = await import('../dist/result.js');
    const store = createMemoryChallengeStore({ capacity: 10_000_000 });
    // Its challenges were made before it was: the store must not take it for a restart.
    const remembering = {
      consume: (used) => store.consume({ ...used, issuedAtMs: Number.MAX_SAFE_INTEGER }),
    };
    const handler = createVerifierHandler({
      policies: [{ audience: AUDIENCE, manifest: reference }],
      challenges: createChallenges({
        key: Buffer.from(key, 'hex'),
        store: remembering,
        lifetimeSeconds: LIFETIME_SECONDS,
      }),
      signer: await readSigningKey(keyFile),
      verifyOptions: { trustAnchors: [root], provider: await providerOf(provider) },
      log: () => undefined,
    });
    const { port } = await listen(handler, '127.0.0.1', 0);
    process.send({ port });
    process.on('message', () => process.send({ cpuMs: cpuMs() }));
  });
  process.on('disconnect', () => process.exit(0));
}

/** The verification alone: the same documents in a loop, as many at once as there are clients. */
async function raw() {
  process.once('message', async ({ warmUp, bodies, root, reference, provider: name, seconds }) => {
    const { inspectAttestation } = await import('../dist/node.js');
    const provider = await providerOf(name);
    const options = { trustAnchors: [root], provider };
    let done = 0;
    async function verifyAll(from, isOver) {
      let index = 0;
      await Promise.all(
        Array.from({ length: CLIENTS }, async () => {
          while (!isOver()) {
            const { evidence, nonce } = from[index++ % from.length];
            const report = await inspectAttestation(evidence, reference, { ...options, nonce });
            if (report.verdict !== 'verified') throw new Error(report.message);
            done++;
          }
        }),
      );
    }
    await verifyAll(warmUp, () => done >= WARM_UP);
    process.send({});
    process.on('message', async () => {
      done = 0;
      const before = cpuMs();
      const untilMs = performance.now() + seconds * 1000;
      await verifyAll(bodies, () => performance.now() >= untilMs);
      process.send({ perSecond: done / seconds, cpuMs: (cpuMs() - before) / done });
    });
  });
  process.on('disconnect', () => process.exit(0));
}

/** Reads a request and answers, as long as the service's answers are. */
async function echo() {
  const { createServer } = await import('node:http');
  const body = JSON.stringify({ token: 'x'.repeat(2700) });
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const listening = createServer((incoming, outgoing) => {
    incoming.resume().on('end', () => outgoing.writeHead(200, headers).end(body));
  });
  listening.listen(0, '127.0.0.1', () => process.send({ port: listening.address().port }));
  process.on('disconnect', () => process.exit(0));
}

/** Processor time of this process: what a busy machine does to the clock does not count. */
function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function providerOf(name) {
  const { createNodeProvider } = await import('../dist/node.js');
  if (name === 'node:crypto') return createNodeProvider();
  const { loadWasm } = await import('../dist/wasm-fallback.js');
  const loaded = loadWasm();
  if (loaded.provider === undefined) throw new Error(loaded.unavailable);
  return loaded.provider;
}

function start(name) {
  return fork(fileURLToPath(import.meta.url), [name], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

function answerOf(child) {
  return new Promise((resolve, reject) => {
    const exited = (code) => reject(new Error(`a process of the bench ended with ${code}`));
    child.once('exit', exited);
    child.once('message', (message) => {
      child.off('exit', exited);
      resolve(message);
    });
  });
}

async function startRaw(provider, all, root, reference) {
  const child = start('raw');
  const warmUp = all.slice(0, 1000);
  const bodies = all.slice(WARM_UP, WARM_UP + 2000);
  child.send({ warmUp, bodies, root, reference, provider, seconds: SECONDS });
  await answerOf(child);
  return child;
}

/** What a child of ours answers next. */
async function ask(child) {
  const answer = answerOf(child);
  child.send({});
  return answer;
}

/** Posts bodies, CLIENTS at a time over connections that stay open, until it is over. */
async function load(port, bodies, isOver, perSecond = Number.POSITIVE_INFINITY) {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  const times = [];
  let index = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (!isOver(index)) {
        const body = bodies[index++ % bodies.length];
        const from = performance.now();
        await post(agent, port, body);
        const tookMs = performance.now() - from;
        times.push(tookMs);
        const waitMs = (CLIENTS / perSecond) * 1000 - tookMs;
        if (waitMs > 1) await sleep(waitMs);
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  agent.destroy();
  return { perSecond: times.length / seconds, times: times.sort((a, b) => a - b) };
}

/** Each body once at most. */
function loadOnce(port, bodies, seconds = SECONDS) {
  const untilMs = performance.now() + seconds * 1000;
  return load(port, bodies, (sent) => sent >= bodies.length || performance.now() >= untilMs);
}

function post(agent, port, body) {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const options = {
      agent,
      port,
      host: '127.0.0.1',
      path: '/v1/results',
      method: 'POST',
      headers,
    };
    const req = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${response.statusCode} ${text}`));
      });
    });
    req.on('error', reject);
    req.end(body);
  });
}

async function main() {
  const key = randomBytes(32).toString('hex');
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  const keyFile = join(folder, 'key.pem');
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(keyFile, privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const providers = (process.env.BENCH_PROVIDERS ?? 'wasm,node:crypto').split(',');
  console.log(
    `Verifier service on loopback: ${CLIENTS} clients, ${ROUNDS} rounds of ${SECONDS} s, Node ${process.version}`,
  );
  const cases = providers.flatMap((provider) => [
    { provider, name: 'one instance', instances: 1 },
    { provider, name: 'a fleet', instances: Number.POSITIVE_INFINITY },
  ]);
  const echoing = start('echo');
  const idle = await answerOf(echoing);
  for (const { provider, name, instances } of cases) {
    const { bodies, root, reference } = await makeBodies(
      instances === 1 ? MAX_BODIES : MAX_FLEET,
      Buffer.from(key, 'hex'),
      instances,
    );
    const looping = await startRaw(provider, bodies, root, reference);
    // The bundle stands in the body as it is.
    const texts = bodies.map(
      ({ nonce, evidence }) => `{"nonce":"${nonce}","evidence":${evidence}}`,
    );
    const child = start('server');
    child.send({ key, root, reference, provider, keyFile });
    const { port } = await answerOf(child);
    const share = Math.floor((texts.length - WARM_UP) / ROUNDS);
    await loadOnce(port, texts.slice(0, WARM_UP), Number.POSITIVE_INFINITY);
    const rounds = [];
    for (let round = 0; round < ROUNDS; round++) {
      const from = WARM_UP + round * share;
      const before = (await ask(child)).cpuMs;
      const { perSecond, times } = await loadOnce(port, texts.slice(from, from + share));
      const cpu = ((await ask(child)).cpuMs - before) / times.length;
      let isOver = false;
      const beside = load(idle.port, texts, () => isOver, perSecond);
      const alone = await ask(looping);
      isOver = true;
      await beside;
      rounds.push({ alone: alone.perSecond, aloneCpu: alone.cpuMs, perSecond, cpu, times });
    }
    child.disconnect();
    looping.disconnect();
    const at = (list, share) =>
      [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))];
    const median = (list) => at(list, 0.5);
    const alone = median(rounds.map((round) => round.alone));
    const perSecond = median(rounds.map((round) => round.perSecond));
    const times = rounds.flatMap((round) => round.times);
    const ms = (share) => at(times, share).toFixed(2);
    const overheads = rounds.map((round) => 100 * (1 - round.perSecond / round.alone));
    const cpu = median(rounds.map((round) => round.cpu));
    const aloneCpu = median(rounds.map((round) => round.aloneCpu));
    console.log(
      [
        `${provider}, ${name}: verifying alone ${alone.toFixed(0)}/s, service ${perSecond.toFixed(0)}/s,`,
        `overhead ${median(overheads).toFixed(0)} % (quarters: ${at(overheads, 0.25).toFixed(0)} to ${at(overheads, 0.75).toFixed(0)});`,
        `processor ms for each: alone ${aloneCpu.toFixed(3)}, service ${cpu.toFixed(3)} (${((1 - aloneCpu / cpu) * 100).toFixed(0)} % of it not verifying);`,
        `ms at 50 % ${ms(0.5)}, 90 % ${ms(0.9)}, 99 % ${ms(0.99)}, 99.9 % ${ms(0.999)} (${times.length} requests)`,
      ].join(' '),
    );
  }
  echoing.disconnect();
  rmSync(folder, { recursive: true });
}
