/**
 * What building an enclave image from 200 MB costs, compared with hashing what each PCR covers once
 * with node:crypto SHA-384 and one CRC-32 pass over everything, in one run.
 * Needs a build. Usage: node tools/eif/eif.bench.mjs [megabytes] [rounds]
 */
import { createHash, randomFillSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applicationEntries, buildEif, nodeCrc32, ramdiskPieces } from '../dist/eif.js';

const megabytes = Number(process.argv[2] ?? 200);
const rounds = Number(process.argv[3] ?? 9);
const FILE_MEGABYTES = 4;
const KERNEL_BYTES = 10 * 2 ** 20;

const folder = mkdtempSync(join(tmpdir(), 'tee-eif-bench-'));
try {
  await run();
} finally {
  rmSync(folder, { recursive: true });
}

async function run() {
  const root = join(folder, 'root');
  mkdirSync(root);
  for (let i = 0; i < megabytes / FILE_MEGABYTES; i++)
    writeFileSync(join(root, `file-${i}`), randomFillSync(Buffer.alloc(FILE_MEGABYTES * 2 ** 20)));
  const out = join(folder, 'bench.eif');
  const kernel = randomFillSync(Buffer.alloc(KERNEL_BYTES));
  const build = () =>
    buildEif(out, {
      architecture: 'x86_64',
      kernel: [kernel],
      commandLine: 'reboot=k panic=30',
      ramdisks: [
        [new Uint8Array(2 ** 20)],
        ramdiskPieces(applicationEntries({ root, entrypoint: ['/app'], env: [] }), 'none'),
      ],
      metadata: { toolVersion: '0' },
    });
  await build();
  const image = readFileSync(out);
  const system = image.subarray(0, KERNEL_BYTES + 2 ** 20);
  const application = image.subarray(KERNEL_BYTES + 2 ** 20);
  const sha384 = (bytes) => createHash('sha384').update(bytes).digest();
  const times = { pcrs: [], crc: [], build: [] };
  for (let round = 0; round < rounds; round++) {
    times.pcrs.push(await timed(() => [image, system, application].map(sha384)));
    times.crc.push(await timed(() => nodeCrc32(image, 0)));
    times.build.push(await timed(build));
  }
  const memory = process.resourceUsage().maxRSS / 1024;
  for (const [name, pick] of [
    ['median', median],
    ['minimum', (list) => Math.min(...list)],
  ]) {
    const [pcrs, crc, built] = [times.pcrs, times.crc, times.build].map(pick);
    const base = pcrs + crc;
    console.log(
      `${name}: SHA-384 once per PCR ${pcrs.toFixed(0)} ms + CRC ${crc.toFixed(0)} ms; build of ${(image.length / 1e6).toFixed(0)} MB ${built.toFixed(0)} ms, ratio ${(built / base).toFixed(2)}`,
    );
  }
  console.log(`(the bench itself holds the image in memory: ${memory.toFixed(0)} MiB at most)`);
}

async function timed(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
