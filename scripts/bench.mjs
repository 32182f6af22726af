/**
 * `npm run bench`: what a whole verification costs, beside the raw cost of the very signatures in
 * it, in one run. Ratios count; absolute times depend on the machine. Everything is interleaved, so
 * that a busy moment hits all columns alike.
 */

import { spawnSync } from 'node:child_process';
import { createPublicKey, verify as cryptoVerify } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import {
  ChainMemory,
  createNobleProvider,
  createNodeProvider,
  createWebCryptoProvider,
  verifyAttestation,
  verifyAttestationSync,
} from '../dist/node.js';
import { loadWasm } from '../dist/wasm-fallback.js';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 300);
const NOBLE_ROUNDS = 12;

/** A valid bundle with a quote, out of the vectors. */
function loadCase() {
  const folder = new URL('../test-vectors/cases/', import.meta.url);
  for (const name of readdirSync(folder).sort()) {
    const vector = JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
    if (vector.expected.verdict === 'verified' && vector.input.kind === 'bundle') return vector;
  }
  throw new Error('no valid bundle among the vectors');
}

const vector = loadCase();
const evidence = JSON.stringify(vector.input.value);
const base = {
  ...vector.options,
  trustAnchors: vector.trustAnchorsPem,
  now: vector.nowMs === 'document' ? 'document' : new Date(vector.nowMs),
};
const node = createNodeProvider();
const webcrypto = createWebCryptoProvider(globalThis.crypto.subtle);
const noble = createNobleProvider();
const wasm = loadWasm().provider;

/** The signatures that a verification checks, by listening to it. */
async function record(options) {
  const calls = [];
  const provider = {
    name: 'recorder',
    digest: node.digest,
    verify(...call) {
      calls.push(call);
      return node.verify(...call);
    },
  };
  await verifyAttestation(evidence, vector.manifest, { ...base, ...options, provider });
  return calls;
}

const cold = await record({ chainMemory: false });
const memory = new ChainMemory();
await record({ chainMemory: memory });
const warm = await record({ chainMemory: memory });

/** SubjectPublicKeyInfo up to the point. */
const SPKI = {
  ES256: Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'),
  ES384: Buffer.from('3076301006072a8648ce3d020106052b81040022036200', 'hex'),
};
const HASH = { ES256: 'sha256', ES384: 'sha384' };

/** Raw: keys imported beforehand, then nothing but crypto.verify, one signature after the other. */
function raw(calls) {
  const ready = calls.map(([algorithm, point, message, signature]) => [
    HASH[algorithm],
    message,
    {
      key: createPublicKey({
        key: Buffer.concat([SPKI[algorithm], point]),
        format: 'der',
        type: 'spki',
      }),
      dsaEncoding: 'ieee-p1363',
    },
    signature,
  ]);
  return () => {
    for (const call of ready) cryptoVerify(...call);
  };
}
const together = (provider, calls) => () =>
  Promise.all(calls.map((call) => provider.verify(...call)));
const verify = (provider, chainMemory) => () =>
  verifyAttestation(evidence, vector.manifest, { ...base, provider, chainMemory });
const verifySync = (provider, chainMemory) => () =>
  verifyAttestationSync(evidence, vector.manifest, { ...base, provider, chainMemory });
const sixteen = (run) => () => Promise.all(Array.from({ length: 16 }, run));

/**
 * Each row: a verification and the raw cost of its signatures. Sync rows compare with node:crypto
 * and keys imported beforehand (the lowest there is), the others with the provider itself, all
 * signatures started together.
 */
const rows = [
  ['node:crypto, cold, sync', verifySync(node, false), raw(cold)],
  ['node:crypto, warm, sync', verifySync(node, memory), raw(warm)],
  ['node:crypto, cold, awaited', verify(node, false), together(node, cold)],
  ['node:crypto, warm, awaited', verify(node, memory), together(node, warm)],
  [
    'node:crypto, cold, 16 at once',
    sixteen(verify(node, false)),
    sixteen(together(node, cold)),
    16,
  ],
  [
    'node:crypto, warm, 16 at once',
    sixteen(verify(node, memory)),
    sixteen(together(node, warm)),
    16,
  ],
  ['wasm, cold, sync', verifySync(wasm, false), raw(cold)],
  ['wasm, warm, sync', verifySync(wasm, memory), raw(warm)],
  ['WebCrypto, cold, awaited', verify(webcrypto, false), together(webcrypto, cold)],
  ['WebCrypto, warm, awaited', verify(webcrypto, memory), together(webcrypto, warm)],
];
const slowRows = [['noble, cold, awaited', verify(noble, false), together(noble, cold)]];

async function measure(table, rounds) {
  const samples = table.map(() => [[], []]);
  for (let round = 0; round < rounds; round++)
    for (const [index, [, ours, raw]] of table.entries())
      for (const [column, run] of [ours, raw].entries()) {
        const from = performance.now();
        await run();
        const took = performance.now() - from;
        if (round >= rounds / 10) samples[index][column].push(took);
      }
  return table.map(([name, , , times = 1], index) => {
    const [ours, raw] = samples[index].map((list) => median(list) / times);
    return { name, ours, raw };
  });
}

function median(list) {
  return [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
}

console.log(
  `Whole-bundle verification: ${cold.length} signatures cold, ${warm.length} warm; medians of ${ROUNDS} rounds, Node ${process.version}`,
);
console.log(
  `${'case'.padEnd(32)} ${'whole ms'.padStart(9)} ${'raw ms'.padStart(9)} ${'ratio'.padStart(7)} ${'per second'.padStart(11)}`,
);
for (const { name, ours, raw } of [
  ...(await measure(rows, ROUNDS)),
  ...(await measure(slowRows, NOBLE_ROUNDS)),
])
  console.log(
    `${name.padEnd(32)} ${ours.toFixed(3).padStart(9)} ${raw.toFixed(3).padStart(9)} ${(ours / raw).toFixed(2).padStart(7)} ${(1000 / ours).toFixed(0).padStart(11)}`,
  );

/** Import time of an entry in a fresh process, beyond what an empty module takes. */
function importCost(entry) {
  const script = `const from = performance.now(); await import(${JSON.stringify(new URL(`../dist/${entry}`, import.meta.url).href)}); console.log(performance.now() - from);`;
  const times = Array.from({ length: 9 }, () =>
    Number(
      spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
        .stdout,
    ),
  );
  return median(times);
}
for (const entry of ['index.js', 'node.js'])
  console.log(
    `import of dist/${entry}`.padEnd(32),
    `${importCost(entry).toFixed(1)} ms`.padStart(9),
  );
