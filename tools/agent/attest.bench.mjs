/**
 * How long tee-attest takes from start to finish against tee-simulator, beside Node's own start,
 * interleaved. Fails when the difference of the medians exceeds the limit of 300 ms.
 *
 * Usage: npm run build && node tools/agent/attest.bench.mjs
 */
import { spawn, spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

const LIMIT_MS = 300;
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 15);
const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const ATTEST = path('bin/tee-attest.js');
const SIMULATOR = path('../simulator/bin/tee-simulator.js');

/** Starts the simulator and resolves with its address once it listens. */
function startSimulator() {
  const child = spawn(process.execPath, [SIMULATOR, '--listen', 'tcp:127.0.0.1:0', '--no-control']);
  child.stdout.resume();
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status) => reject(new Error(`tee-simulator ended with ${status}`)));
    child.stderr.on('data', (chunk) => {
      const address = /tcp:\S+/.exec(String(chunk))?.[0];
      if (address !== undefined) resolve({ child, address });
    });
  });
}

function timeOf(args) {
  const started = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')}: status ${status}: ${stderr}`);
  return performance.now() - started;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const { child, address } = await startSimulator();
try {
  const cases = {
    'node -e 0': ['-e', '0'],
    'tee-attest, HMAC session': [ATTEST, '--nonce', 'c0ffee', '--tpm', address],
    'tee-attest, password': [
      ATTEST,
      '--nonce',
      'c0ffee',
      '--tpm',
      address,
      '--session',
      'password',
    ],
  };
  // Once each: file caches, and the simulator's RSA key.
  for (const args of Object.values(cases)) timeOf(args);
  const times = Object.fromEntries(Object.keys(cases).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, args] of Object.entries(cases)) times[name].push(timeOf(args));
  const start = median(times['node -e 0']);
  for (const [name, values] of Object.entries(times)) {
    const over = median(values) - start;
    const verdict = over > LIMIT_MS ? `  OVER THE LIMIT of ${LIMIT_MS} ms` : '';
    console.log(
      `${name.padEnd(26)} median ${median(values).toFixed(0).padStart(4)} ms, best ${Math.min(
        ...values,
      )
        .toFixed(0)
        .padStart(4)} ms, beyond Node's start ${over.toFixed(0).padStart(4)} ms${verdict}`,
    );
    if (over > LIMIT_MS) process.exitCode = 1;
  }
} finally {
  child.kill();
}
