/**
 * Runs the examples of the README, so that they stay true. An example is a fenced block whose
 * info string says so:
 *
 *     ```js example              an ES module
 *     ```sh example              bash, stopping at the first failure
 *     ```sh example exit=1       … that ends with this exit status
 *
 * They run in the order of the file in one temporary folder, where `tee-verify` and `tee-tools`
 * are the built packages and the folders of the repository stand under their names.
 *
 * Usage: node scripts/readme-examples.mjs [--root <dir>] [--file README.md] [--verbose]
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './lib/files.mjs';
import { readExamples } from './lib/markdown-examples.mjs';

const TIMEOUT_MS = 180_000;

const { values: options } = parseArgs({
  options: {
    root: { type: 'string' },
    file: { type: 'string', default: 'README.md' },
    verbose: { type: 'boolean', default: false },
  },
});
const root = resolve(options.root ?? ROOT);

/** A folder that looks like a user's project with both packages installed. */
function makeProject() {
  const folder = mkdtempSync(join(tmpdir(), 'examples-'));
  const bin = join(folder, 'node_modules/.bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  for (const where of ['.', 'tools']) {
    const home = join(root, where);
    if (!existsSync(join(home, 'package.json'))) continue;
    const { name, bin: commands = {} } = JSON.parse(
      readFileSync(join(home, 'package.json'), 'utf8'),
    );
    symlinkSync(home, join(folder, 'node_modules', name));
    for (const [command, path] of Object.entries(commands)) {
      symlinkSync(join(home, path), join(bin, command));
    }
  }
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    const hidden = entry.name.startsWith('.') || entry.name === 'node_modules';
    if (entry.isDirectory() && !hidden)
      symlinkSync(join(root, entry.name), join(folder, entry.name));
  }
  return { folder, bin };
}

function run(example, index, { folder, bin }) {
  const script = join(folder, `example-${index + 1}.${example.language === 'js' ? 'mjs' : 'sh'}`);
  writeFileSync(script, example.text);
  const [program, args] =
    example.language === 'js'
      ? [process.execPath, [script]]
      : ['bash', ['-euo', 'pipefail', script]];
  const started = performance.now();
  const result = spawnSync(program, args, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
  });
  const status = result.error === undefined ? result.status : result.error.message;
  return { ...result, status, seconds: ((performance.now() - started) / 1000).toFixed(1) };
}

const file = join(root, options.file);
const { examples, problems } = existsSync(file)
  ? readExamples(readFileSync(file, 'utf8'))
  : { examples: [], problems: [] };
for (const problem of problems) console.error(`${options.file}:${problem}`);
if (examples.length === 0) console.error(`${options.file}: there are no examples to run`);

let failed = problems.length + (examples.length === 0 ? 1 : 0);
const project = makeProject();
try {
  for (const [index, example] of examples.entries()) {
    const result = run(example, index, project);
    const good = result.status === example.exitStatus;
    const what = `${options.file}:${example.line} (${example.language}, ${result.seconds} s)`;
    console.log(`${good ? 'ok    ' : 'FAILED'} ${what}`);
    if (!good) {
      failed += 1;
      console.error(`expected exit status ${example.exitStatus}, got ${result.status}`);
    }
    if (!good || options.verbose) {
      process.stderr.write(result.stdout ?? '');
      process.stderr.write(result.stderr ?? '');
    }
  }
} finally {
  rmSync(project.folder, { recursive: true, force: true });
}
console.log(`examples: ${examples.length} run, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
