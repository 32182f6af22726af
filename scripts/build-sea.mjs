/**
 * Builds tee-attest as a single executable (Node's "single executable applications"): one file
 * that runs without Node installed and without node_modules, for the machine it is built on.
 *
 * Usage: node scripts/build-sea.mjs [--out <file>]     default build/sea/tee-attest
 * Needs tools/dist and dist (npm run build).
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import commonjs from '@rollup/plugin-commonjs';
import nodeResolve from '@rollup/plugin-node-resolve';
import { inject } from 'postject';
import { rollup } from 'rollup';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ENTRY = join(ROOT, 'tools/dist/tee-attest.js');
// The mark in Node's executable that says whether a blob was put in (Node documentation, SEA).
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const { values: options } = parseArgs({ options: { out: { type: 'string' } } });
const out = resolve(options.out ?? join(ROOT, 'build/sea/tee-attest'));
const stage = mkdtempSync(join(tmpdir(), 'tee-attest-sea-'));

/** Everything in one CommonJS file: a single executable takes no modules. */
async function bundle(file) {
  const built = await rollup({
    input: ENTRY,
    external: /^node:/,
    plugins: [
      nodeResolve({ preferBuiltins: true, exportConditions: ['node', 'import', 'default'] }),
      commonjs(),
    ],
    onLog(level, log) {
      if (log.code === 'UNRESOLVED_IMPORT') throw new Error(log.message);
      if (level === 'warn' && log.code !== 'CIRCULAR_DEPENDENCY') console.log(`  ${log.message}`);
    },
  });
  await built.write({ file, format: 'cjs', inlineDynamicImports: true });
  await built.close();
}

/** Node makes the blob that it will later find in itself. */
function makeBlob(main, output) {
  const config = join(stage, 'sea-config.json');
  writeFileSync(
    config,
    JSON.stringify({ main, output, disableExperimentalSEAWarning: true, useCodeCache: true }),
  );
  const run = spawnSync(process.execPath, ['--experimental-sea-config', config], {
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(`node --experimental-sea-config: ${run.stderr}`);
}

try {
  if (process.platform !== 'linux')
    throw new Error(
      'tee-attest runs on Linux, where the devices of a NitroTPM are; build it there',
    );
  if (!existsSync(ENTRY)) throw new Error('tools/dist/tee-attest.js is missing: npm run build');
  const main = join(stage, 'tee-attest.cjs');
  const blob = join(stage, 'tee-attest.blob');
  const executable = join(stage, 'tee-attest');
  await bundle(main);
  makeBlob(main, blob);
  copyFileSync(process.execPath, executable);
  chmodSync(executable, 0o755);
  // postject warns about names of sections that Node's executable does not have; nothing is amiss.
  const { warn } = console;
  console.warn = (text, ...rest) => {
    if (!String(text).includes("Can't find string offset")) warn(text, ...rest);
  };
  await inject(executable, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: FUSE });
  mkdirSync(dirname(out), { recursive: true });
  // Another file system, perhaps: copy beside the target, then put it in place in one step.
  copyFileSync(executable, `${out}.tmp`);
  chmodSync(`${out}.tmp`, 0o755);
  renameSync(`${out}.tmp`, out);
  const megabytes = (statSync(out).size / 1e6).toFixed(0);
  console.log(
    `${out}: ${megabytes} MB, Node ${process.version}, ${statSync(blob).size} bytes of its own`,
  );
} catch (error) {
  console.error(`build-sea: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  rmSync(stage, { recursive: true, force: true });
}
