/**
 * What building an image with a root of 300 MB costs, compared with what mkfs.erofs and veritysetup
 * take by themselves. Needs a build, the packages of scripts/system-packages.txt, and Linux.
 * Usage: node tools/image/build.bench.mjs [megabytes of the root] [rounds]
 */
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const megabytes = Number(process.argv[2] ?? 300);
const rounds = Number(process.argv[3] ?? 5);
const LIMIT = 1.5;
const MIB = 1024 * 1024;
const COMMAND = fileURLToPath(new URL('bin/tee-image.js', import.meta.url));
const KERNELS = ['/boot', join(tmpdir(), 'tee-image-test-kernel/boot')];
const UUID = '11111111-2222-4333-8444-555555555555';

const folder = mkdtempSync(join(tmpdir(), 'tee-image-bench-'));
const at = (name) => join(folder, name);
try {
  makeRoot();
  writeFileSync(at('initrd'), randomFillSync(new Uint8Array(8 * MIB)));
  compare();
} finally {
  rmSync(folder, { recursive: true });
}

function compare() {
  const kernel = findKernel();
  const times = { tools: [], build: [] };
  for (let round = 0; round <= rounds; round++) {
    const keep = (name, ms) => round > 0 && times[name].push(ms); // the first one warms up
    rmSync(at('root.erofs'), { force: true });
    rmSync(at('root.verity'), { force: true });
    keep('tools', timed(runTools));
    rmSync(at('out'), { recursive: true, force: true });
    keep(
      'build',
      timed(() => build(kernel)),
    );
  }
  const ratio = median(times.build) / median(times.tools);
  console.log(`root of ${megabytes} MiB, ${rounds} rounds: median and minimum in ms`);
  for (const [name, list] of Object.entries(times))
    console.log(
      name.padEnd(8),
      median(list).toFixed(0).padStart(6),
      Math.min(...list)
        .toFixed(0)
        .padStart(6),
    );
  console.log(`ratio ${ratio.toFixed(2)} (limit ${LIMIT})`);
  if (ratio > LIMIT) process.exitCode = 1;
}

/** What the two programs do for such an image, and nothing else. */
function runTools() {
  run('mkfs.erofs', ['--quiet', '-T', '0', '-U', UUID, '--all-root', at('root.erofs'), at('root')]);
  run('veritysetup', ['format', at('root.erofs'), at('root.verity'), `--uuid=${UUID}`]);
}

function build(kernel) {
  run(process.execPath, [
    ...[COMMAND, 'build', '--kernel', kernel, '--initrd', at('initrd'), '--root', at('root')],
    ...['--cmdline', 'console=ttyS0', '--out', at('out')],
  ]);
}

function run(program, args) {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} failed: ${error?.message ?? stderr}`);
}

function timed(work) {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** As a root is: many small files and a few large ones, not compressible. */
function makeRoot() {
  const small = 3000;
  const smallBytes = 24 * 1024;
  for (let i = 0; i < small; i++) {
    const parent = at(`root/usr/lib/${i % 60}`);
    mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `file${i}`), randomFillSync(new Uint8Array(smallBytes)));
  }
  const large = Math.max(0, megabytes * MIB - small * smallBytes);
  for (let i = 0; i < 4; i++)
    writeFileSync(at(`root/usr/large${i}`), randomFillSync(new Uint8Array(large / 4)));
}

function findKernel() {
  for (const boot of KERNELS) {
    const name = existsSync(boot) && readdirSync(boot).find((file) => file.startsWith('vmlinuz'));
    if (name) return join(boot, name);
  }
  throw new Error(`no kernel in ${KERNELS.join(' or ')}; npm run test:system fetches one`);
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
