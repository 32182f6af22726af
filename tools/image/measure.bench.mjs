/**
 * What measuring a UKI of 60 MB costs, compared with hashing it once with node:crypto SHA-384, and
 * with hashing from memory, on the same number of cores, all that a manifest needs: 2.2 times the file.
 * Needs a build. Usage: node tools/image/measure.bench.mjs [megabytes of the UKI] [rounds]
 */
import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { measureUki } from 'tee-verify/measure';
import { createNodeHasher, openFile, runDigestJobsInParallel } from '../dist/image.js';

const megabytes = Number(process.argv[2] ?? 60);
const rounds = Number(process.argv[3] ?? 15);
const ALIGNMENT = 512;
const KERNEL_BYTES = 14 * 1024 * 1024; // as Debian's cloud kernel

const folder = mkdtempSync(join(tmpdir(), 'tee-image-bench-'));
try {
  const path = join(folder, 'bench.efi');
  writeFileSync(path, makeUki());
  await run(path);
} finally {
  rmSync(folder, { recursive: true });
}

async function run(path) {
  const bytes = readFileSync(path);
  const formats = { 'aws (PCR4, 7, 12)': [4, 7, 12], 'manifest (PCR4, 7, 9, 11, 12)': undefined };
  const bare = await startBareThreads(bytes);
  const times = {
    once: [],
    read: [],
    bare: [],
    ...Object.fromEntries(Object.keys(formats).map((f) => [f, []])),
  };
  for (let round = 0; round <= rounds; round++) {
    const keep = (name, ms) => round > 0 && times[name].push(ms); // the first one warms up
    keep('once', await timed(() => createHash('sha384').update(bytes).digest()));
    keep('read', await timed(() => hashFile(path)));
    keep('bare', await timed(bare.hash));
    for (const [name, pcrs] of Object.entries(formats))
      keep(name, await timed(() => measure(path, pcrs)));
  }
  const size = (bytes.length / 2 ** 20).toFixed(1);
  console.log(
    `UKI of ${size} MiB, ${rounds} rounds: median and minimum in ms, ratios to the first`,
  );
  print('SHA-384 once, file in memory', times.once, times.once);
  print('SHA-384 once, read in pieces of 1 MiB', times.read, times.once);
  print(`all parts, from memory, ${bare.threads} threads`, times.bare, times.once);
  for (const name of Object.keys(formats)) print(`measure, ${name}`, times[name], times.once);
  bare.end();
}

/** Threads that do nothing but hash: the file, the initrd, the kernel as a section and as an image. */
async function startBareThreads(bytes) {
  const memory = new Uint8Array(new SharedArrayBuffer(bytes.length));
  memory.set(bytes);
  const shares = [[bytes.length], ...Array.from({ length: availableParallelism() - 1 }, () => [])];
  const sum = (share) => share.reduce((total, one) => total + one, 0);
  for (const part of [bytes.length - KERNEL_BYTES, KERNEL_BYTES, KERNEL_BYTES])
    shares.reduce((best, share) => (sum(share) < sum(best) ? share : best)).push(part);
  const hashParts = (share) => {
    for (const part of share) createHash('sha384').update(memory.subarray(0, part)).digest();
  };
  const [own, ...others] = shares.filter((share) => share.length > 0);
  const workers = others.map((share) => {
    return new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
      const { createHash } = require('node:crypto');
      const { memory, share } = workerData;
      const hashParts = ${hashParts};
      parentPort.on('message', () => parentPort.postMessage(hashParts(share)));`,
      { eval: true, workerData: { memory, share } },
    );
  });
  return {
    threads: workers.length + 1,
    async hash() {
      const done = workers.map((worker) => {
        const answer = once(worker, 'message');
        worker.postMessage('go');
        return answer;
      });
      hashParts(own);
      await Promise.all(done);
    },
    end: () => workers.map((worker) => worker.terminate()),
  };
}

function print(name, times, base) {
  const minimum = (list) => Math.min(...list);
  const figures = [median, minimum].map((pick) => {
    return `${pick(times).toFixed(1).padStart(7)} (${(pick(times) / pick(base)).toFixed(2)})`;
  });
  console.log(`  ${name.padEnd(42)}${figures.join('  ')}`);
}

function hashFile(path) {
  const hash = createHash('sha384');
  const buffer = Buffer.alloc(1024 * 1024);
  const file = openSync(path, 'r');
  for (let got = 1; got > 0; ) {
    got = readSync(file, buffer);
    hash.update(buffer.subarray(0, got));
  }
  closeSync(file);
  return hash.digest();
}

async function measure(path, pcrs) {
  const source = await openFile(path);
  try {
    await measureUki([{ name: 'bench', source }], {
      createHasher: createNodeHasher,
      runDigestJobs: runDigestJobsInParallel,
      ...(pcrs === undefined ? {} : { pcrs }),
    });
  } finally {
    await source.close();
  }
}

async function timed(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** A UKI with a stub of version 252, a kernel, and an initrd of random bytes. */
function makeUki() {
  const random = (length) => randomFillSync(Buffer.alloc(length));
  const kernel = makePe([['.text', random(KERNEL_BYTES)]]);
  return makePe([
    ['.sdmagic', Buffer.from('#### LoaderInfo: systemd-stub 252.1 ####\0')],
    ['.osrel', Buffer.from('ID=bench\n')],
    ['.cmdline', Buffer.from('console=ttyS0')],
    ['.linux', kernel],
    ['.initrd', random(megabytes * 2 ** 20 - kernel.length - 8192)],
  ]);
}

/** A minimal PE32+ image. */
function makePe(sections) {
  const header = Buffer.alloc(1024);
  header.write('MZ');
  header.writeUInt32LE(64, 60);
  header.write('PE\0\0', 64, 'latin1');
  header.writeUInt16LE(0x8664, 68);
  header.writeUInt16LE(sections.length, 70);
  header.writeUInt16LE(240, 84);
  header.writeUInt16LE(0x20b, 88);
  header.writeUInt32LE(1024, 88 + 60);
  header.writeUInt32LE(16, 88 + 108);
  let address = 4096;
  let offset = 1024;
  const parts = [header];
  for (const [i, [name, contents]] of sections.entries()) {
    const at = 88 + 240 + i * 40;
    const padded = Math.ceil(contents.length / ALIGNMENT) * ALIGNMENT;
    header.write(name, at);
    for (const [j, value] of [contents.length, address, padded, offset].entries())
      header.writeUInt32LE(value, at + 8 + 4 * j);
    parts.push(contents, Buffer.alloc(padded - contents.length));
    address += Math.ceil(padded / 4096) * 4096;
    offset += padded;
  }
  header.writeUInt32LE(address, 88 + 56);
  return Buffer.concat(parts);
}
