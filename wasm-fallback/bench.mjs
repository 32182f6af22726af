// node wasm-fallback/bench.mjs: verification under ec.wasm, node:crypto and noble, in one run.
// The candidates take turns in every round, so that a busy moment of the machine hits all of them.
// Prints medians and minima in microseconds, and the ratios that the module promises; exit status
// 1 when one is not kept.

import { execFileSync } from 'node:child_process';
import { createECDH, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { p256, p384 } from '@noble/curves/nist.js';

const ROUNDS = 400;
const NOBLE_EVERY = 8;
const WARM_UP = 40;
/** More than the module keeps: going round them, every key is new. */
const NEW_KEYS = 40;
const MAX_START_MS = 3;
const MAX_GZIP_BYTES = 12 * 1024;

const WASM = new URL('ec.wasm', import.meta.url);
const wasm = readFileSync(WASM);
/** In processes of their own: the engine remembers what it has compiled before. */
const START = `const bytes = require('node:fs').readFileSync(process.argv[1]);
  const start = performance.now();
  new WebAssembly.Instance(new WebAssembly.Module(bytes));
  console.log(performance.now() - start);`;
const starts = Array.from({ length: 9 }, () =>
  Number(execFileSync(process.execPath, ['-e', START, fileURLToPath(WASM)], { encoding: 'utf8' })),
);
const ec = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports;
const memory = new Uint8Array(ec.memory.buffer);

const CURVES = [
  { name: 'P-256', openssl: 'prime256v1', hash: 'sha256', bytes: 32, number: 0, noble: p256 },
  {
    name: 'P-384',
    openssl: 'secp384r1',
    hash: 'sha384',
    bytes: 48,
    number: 1,
    noble: p384,
    atLeast: { 'node:crypto, cached': 3, 'noble, cached': 15, 'node:crypto, new': 1.5 },
  },
];

function makeKey({ openssl, hash, bytes, name }, message) {
  const ecdh = createECDH(openssl);
  const point = ecdh.generateKeys();
  const text = (from) => point.subarray(from, from + bytes).toString('base64url');
  const jwk = { kty: 'EC', crv: name, x: text(1), y: text(1 + bytes) };
  const secret = ecdh.getPrivateKey();
  const d = Buffer.concat([Buffer.alloc(bytes - secret.length), secret]).toString('base64url');
  const key = createPrivateKey({ format: 'jwk', key: { ...jwk, d } });
  return {
    point,
    publicKey: createPublicKey({ format: 'jwk', key: jwk }),
    signature: sign(hash, message, { key, dsaEncoding: 'ieee-p1363' }),
  };
}

function measure(curve) {
  const message = Buffer.alloc(300, 7);
  const keys = Array.from({ length: NEW_KEYS }, () => makeKey(curve, message));
  const kept = keys[0];
  const byWasm = ({ point, signature }) => {
    ec.hashStart(curve.number);
    memory.set(message, ec.inputAddress());
    ec.hashUpdate(message.length);
    ec.hashFinish();
    memory.set(point.subarray(1), ec.keyAddress());
    memory.set(signature, ec.signatureAddress());
    return ec.verify(curve.number) === 1;
  };
  let next = 0;
  const candidates = {
    'wasm, cached key': () => byWasm(kept),
    'wasm, new key': () => byWasm(keys[1 + (next++ % (NEW_KEYS - 1))]),
    'node:crypto': () =>
      verify(
        curve.hash,
        message,
        { key: kept.publicKey, dsaEncoding: 'ieee-p1363' },
        kept.signature,
      ),
    noble: () => curve.noble.verify(kept.signature, message, kept.point, { lowS: false }),
  };
  const times = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
  for (let round = -WARM_UP; round < ROUNDS; round++)
    for (const [name, run] of Object.entries(candidates)) {
      if (name === 'noble' && round % NOBLE_EVERY !== 0) continue;
      const start = performance.now();
      const valid = run();
      const time = performance.now() - start;
      if (!valid) throw new Error(`${curve.name} ${name}: a valid signature was refused`);
      if (round >= 0) times[name].push(1000 * time);
    }
  return times;
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
let kept = true;
const promise = (name, value, limit, holds) => {
  console.log(
    `  ${name}: ${value}${limit === undefined ? '' : ` (${limit}: ${holds ? 'kept' : 'NOT KEPT'})`}`,
  );
  if (limit !== undefined && !holds) kept = false;
};

for (const curve of CURVES) {
  const times = measure(curve);
  console.log(`${curve.name}, microseconds: median (minimum)`);
  for (const [name, values] of Object.entries(times))
    console.log(
      `  ${name.padEnd(18)}${median(values).toFixed(0).padStart(7)} (${Math.min(...values).toFixed(0)})`,
    );
  for (const key of ['cached', 'new'])
    for (const other of ['node:crypto', 'noble']) {
      const ratio = median(times[other]) / median(times[`wasm, ${key} key`]);
      const least = curve.atLeast?.[`${other}, ${key}`];
      const limit = least === undefined ? undefined : `at least ${least}`;
      promise(
        `against ${other}, ${key} key`,
        `${ratio.toFixed(2)} times as fast`,
        limit,
        ratio >= least,
      );
    }
}
const start = median(starts);
const gzip = gzipSync(wasm, { level: 9 }).length;
console.log('the module');
promise(
  'compile and instantiate',
  `${start.toFixed(2)} ms`,
  `at most ${MAX_START_MS} ms`,
  start <= MAX_START_MS,
);
promise(
  'size',
  `${wasm.length} bytes, ${gzip} gzip`,
  `at most ${MAX_GZIP_BYTES} gzip`,
  gzip <= MAX_GZIP_BYTES,
);
process.exitCode = kept ? 0 : 1;
