/**
 * `npm run demo`: the whole way, from a (simulated) NitroTPM to a verdict, then three attacks.
 * Every line that starts with `$` is a command that works when typed in the repository.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const PROGRAMS = {
  'tee-verify': 'node/bin/tee-verify.js',
  'tee-attest': 'tools/agent/bin/tee-attest.js',
  'tee-simulator': 'tools/simulator/bin/tee-simulator.js',
};
const START_MS = 20_000;
const simulators = [];
let surprises = 0;

/** Starts a simulated instance that booted the image of the manifest. */
async function startSimulator(name, quiet = false) {
  const args = [
    ...['--manifest', 'examples/manifest.json', '--listen', `unix:.demo/${name}.sock`],
    ...['--no-control', '--root', `.demo/${name}-root.pem`],
  ];
  if (!quiet) console.log(`$ npx tee-simulator ${args.join(' ')} &`);
  const child = spawn(process.execPath, [PROGRAMS['tee-simulator'], ...args], {
    cwd: root,
    stdio: 'ignore',
  });
  simulators.push(child);
  for (const deadline = Date.now() + START_MS; !existsSync(`${root}/.demo/${name}.sock`); ) {
    if (Date.now() > deadline || child.exitCode !== null)
      throw new TypeError('tee-simulator did not start');
    await sleep(20);
  }
}

/** Runs a command and shows its output, or the lines of it that matter. */
function run(command, args, expectedStatus, { show = (lines) => lines, quiet = false } = {}) {
  if (!quiet) console.log(`$ npx ${command} ${args.join(' ')}`);
  const { stdout, stderr, status } = spawnSync(process.execPath, [PROGRAMS[command], ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  const output = show(`${stdout}${stderr}`.trimEnd().split('\n')).join('\n');
  if (output !== '' && !quiet) console.log(output);
  if (status === expectedStatus) return;
  surprises++;
  console.log(`(expected exit status ${expectedStatus}, got ${status})\n${stdout}${stderr}`);
}
const lastLine = (lines) => lines.slice(-1);
const attest = (name, nonce, out, options) =>
  run(
    'tee-attest',
    ['--nonce', nonce, '--tpm', `unix:.demo/${name}.sock`, '--out', out],
    0,
    options,
  );
const verify = (evidence, nonce, expectedStatus, options) =>
  run(
    'tee-verify',
    [
      ...[evidence, '--manifest', 'examples/manifest.json'],
      ...['--trust-anchor', '.demo/instance-root.pem', '--nonce', nonce],
    ],
    expectedStatus,
    options,
  );
const read = (path) => JSON.parse(readFileSync(`${root}/${path}`, 'utf8'));
const write = (path, bundle) => {
  writeFileSync(`${root}/${path}`, `${JSON.stringify(bundle, undefined, 2)}\n`);
  return path;
};

rmSync(`${root}/.demo`, { recursive: true, force: true });
mkdirSync(`${root}/.demo`);
try {
  console.log('# An instance boots the image of examples/manifest.json (simulated: no AWS here)');
  await startSimulator('instance');

  const nonce = randomBytes(32).toString('hex');
  console.log(`\n# We send it a challenge, it attests\n#   ${nonce}`);
  attest('instance', nonce, '.demo/bundle.json');
  console.log('\n# We verify: certificates, signature, quote, our challenge, and what it booted');
  verify('.demo/bundle.json', nonce, 0);

  console.log('\n# Attack: the old bundle is replayed for a new challenge');
  verify('.demo/bundle.json', randomBytes(32).toString('hex'), 1, { show: lastLine });

  console.log('\n# Attack: a PCR in the JSON is edited');
  const edited = read('.demo/bundle.json');
  edited.pcrs.sha384['4'] = 'ab'.repeat(48);
  verify(write('.demo/pcr-edited.json', edited), nonce, 1, { show: lastLine });

  console.log(
    '\n# Attack: the quote of another machine, made with another key for the same challenge',
  );
  await startSimulator('other', true);
  attest('other', nonce, '.demo/other.json', { quiet: true });
  const other = read('.demo/other.json');
  const spliced = read('.demo/bundle.json');
  spliced.attestation.tpm = other.attestation.tpm;
  spliced.signing_key_public_keys = other.signing_key_public_keys;
  verify(write('.demo/other-quote.json', spliced), nonce, 1, { show: lastLine });
} finally {
  for (const child of simulators) child.kill();
}
console.log(surprises === 0 ? '\nAll as expected.' : `\n${surprises} surprises.`);
process.exitCode = surprises === 0 ? 0 : 1;
