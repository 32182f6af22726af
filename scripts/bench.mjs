/**
 * `npm run bench`: what a whole verification costs, beside the raw cost of the very signatures in
 * it, in one run. Ratios count; absolute times depend on the machine. Everything is interleaved, so
 * that a busy moment hits all columns alike.
 */

import { spawnSync } from 'node:child_process';
import { createPublicKey, verify as cryptoVerify } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import {
  ChainMemory,
  createNobleProvider,
  createNodeProvider,
  createWebCryptoProvider,
  verifyAttestation,
  verifyAttestationSync,
} from '../dist/node.js';
import { loadWasm } from '../dist/wasm-fallback.js';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 60);
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
let calls = [];
const recorder = {
  name: 'recorder',
  digest: node.digest,
  verify(...call) {
    calls.push(call);
    return node.verify(...call);
  },
};
async function record(chainMemory) {
  calls = [];
  await verifyAttestation(evidence, vector.manifest, { ...base, chainMemory, provider: recorder });
  return calls;
}

const memory = new ChainMemory();
const cold = await record(memory);
const warm = await record(memory);

/** SubjectPublicKeyInfo up to the point. */
const SPKI = {
  ES256: Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'),
  ES384: Buffer.from('3076301006072a8648ce3d020106052b81040022036200', 'hex'),
};
const HASH = { ES256: 'sha256', ES384: 'sha384' };

const importKey = (algorithm, point) =>
  createPublicKey({
    key: Buffer.concat([SPKI[algorithm], point]),
    format: 'der',
    type: 'spki',
  });
const check = (algorithm, key, message, signature) =>
  cryptoVerify(HASH[algorithm], message, { key, dsaEncoding: 'ieee-p1363' }, signature);

/** Raw: what these signatures cost with node:crypto, one after the other: import the key, verify. */
const raw = (calls) => () => {
  for (const [algorithm, point, message, signature] of calls)
    check(algorithm, importKey(algorithm, point), message, signature);
};

/** The same with every key imported long before: the lowest cost there is. */
function rawWithKeys(calls) {
  const ready = calls.map(([algorithm, point, ...rest]) => [
    algorithm,
    importKey(algorithm, point),
    ...rest,
  ]);
  return () => {
    for (const call of ready) check(...call);
  };
}
/** Raw, all at once on libuv's threads: import the key, verify. */
const rawTogether = (calls) => () =>
  Promise.all(
    calls.map(
      ([algorithm, point, message, signature]) =>
        new Promise((resolve) => {
          const key = importKey(algorithm, point);
          cryptoVerify(
            HASH[algorithm],
            message,
            { key, dsaEncoding: 'ieee-p1363' },
            signature,
            resolve,
          );
        }),
    ),
  );
const together = (provider, calls) => () =>
  Promise.all(calls.map((call) => provider.verify(...call)));
const verify = (provider, chainMemory) => () =>
  verifyAttestation(evidence, vector.manifest, { ...base, provider, chainMemory });
const verifySync = (provider, chainMemory) => () =>
  verifyAttestationSync(evidence, vector.manifest, { ...base, provider, chainMemory });
const sixteen = (run) => () => Promise.all(Array.from({ length: 16 }, run));

/**
 * Each row: a verification, and the raw cost of its signatures. The sync rows also say what is left
 * when the raw side has its keys imported beforehand. Verifications run in batches, as in a back
 * end that does nothing else.
 */
const rows = [
  ['node:crypto, cold, sync', verifySync(node, false), raw(cold), rawWithKeys(cold)],
  ['node:crypto, warm, sync', verifySync(node, memory), raw(warm), rawWithKeys(warm)],
  ['wasm, cold, sync', verifySync(wasm, false), raw(cold), rawWithKeys(cold)],
  ['wasm, warm, sync', verifySync(wasm, memory), raw(warm), rawWithKeys(warm)],
  ['node:crypto, cold, awaited', verify(node, false), rawTogether(cold)],
  ['node:crypto, warm, awaited', verify(node, memory), rawTogether(warm)],
  [
    'node:crypto, cold, 16 at once',
    sixteen(verify(node, false)),
    sixteen(rawTogether(cold)),
    undefined,
    16,
  ],
  [
    'node:crypto, warm, 16 at once',
    sixteen(verify(node, memory)),
    sixteen(rawTogether(warm)),
    undefined,
    16,
  ],
  ['WebCrypto, cold, awaited', verify(webcrypto, false), together(webcrypto, cold)],
  ['WebCrypto, warm, awaited', verify(webcrypto, memory), together(webcrypto, warm)],
];
const slowRows = [['noble, cold, awaited', verify(noble, false), together(noble, cold)]];
const BATCH = 50;

/** Milliseconds a call: the median over rounds of batches, the columns taking turns. */
async function measure(table, rounds, batch) {
  const samples = table.map(([, ...columns]) => columns.slice(0, 3).map((run) => run && []));
  for (let round = 0; round < rounds; round++)
    for (const [index, [, ...columns]] of table.entries())
      for (const [column, run] of columns.slice(0, 3).entries()) {
        if (run === undefined) continue;
        const from = performance.now();
        for (let i = 0; i < batch; i++) await run();
        const took = (performance.now() - from) / batch;
        // A back end verifies all day: the first third is the compiler's, on both sides.
        if (round >= rounds / 3) samples[index][column].push(took);
      }
  return table.map(([name, , , , times = 1], index) => [
    name,
    ...samples[index].map((list) => list && median(list) / times),
  ]);
}

function median(list) {
  return [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
}

// Each row has a process of its own, as an application has one provider: what one row teaches the
// compiler must not help or hinder the next.
const all = [
  // Sixteen at once are one call.
  ...rows.map((row) => [row, ROUNDS, Math.ceil(BATCH / (row[4] ?? 1))]),
  ...slowRows.map((row) => [row, NOBLE_ROUNDS, 1]),
];
if (process.env.BENCH_ROW !== undefined) {
  const [row, rounds, batch] = all[Number(process.env.BENCH_ROW)];
  console.log(JSON.stringify((await measure([row], rounds, batch))[0]));
  process.exit();
}
const measured = all.map((_, index) =>
  JSON.parse(
    spawnSync(process.execPath, [fileURLToPath(import.meta.url)], {
      encoding: 'utf8',
      env: { ...process.env, BENCH_ROW: String(index) },
    }).stdout,
  ),
);

const columns = ['whole ms', 'raw ms', 'ratio', 'keys ready', 'ratio', 'per second'];
const line = (name, cells) =>
  console.log(name.padEnd(30), ...cells.map((cell) => String(cell).padStart(10)));
console.log(
  `Whole-bundle verification: ${cold.length} signatures cold, ${warm.length} warm; medians, Node ${process.version}`,
);
line('case', columns);
for (const [name, ours, rawCost, withKeys] of measured)
  line(name, [
    ours.toFixed(3),
    rawCost.toFixed(3),
    (ours / rawCost).toFixed(2),
    withKeys?.toFixed(3) ?? '',
    (withKeys ?? undefined) === undefined ? '' : (ours / withKeys).toFixed(2),
    (1000 / ours).toFixed(0),
  ]);

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
