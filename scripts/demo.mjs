/**
 * `npm run demo`: verifies a shipped bundle against a shipped manifest, then three attacks on it.
 * Every line that starts with `$` is a command that works when typed in the repository.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const NONCE = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf';
const COMMON = [
  '--manifest',
  'examples/manifest.json',
  '--trust-anchor',
  'examples/simulated-root.pem',
  '--at',
  'document',
];
let surprises = 0;

/** Runs tee-verify and shows its output; `show` picks the lines of a rejection that matter. */
function run(title, args, expectedStatus, show = (lines) => lines) {
  console.log(`\n# ${title}\n$ npx tee-verify ${args.join(' ')}`);
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['node/bin/tee-verify.js', ...args],
    { cwd: root, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } },
  );
  console.log(show(`${stdout}${stderr}`.trimEnd().split('\n')).join('\n'));
  if (status !== expectedStatus) {
    surprises++;
    console.log(`(expected exit status ${expectedStatus}, got ${status})`);
  }
}
const lastLine = (lines) => lines.slice(-1);

run(
  'A bundle of a (simulated) EC2 instance against the manifest of its image',
  ['examples/bundle.json', ...COMMON, '--nonce', NONCE],
  0,
);

mkdirSync(`${root}/.demo`, { recursive: true });
const attack = (name, change) => {
  const bundle = JSON.parse(readFileSync(`${root}/examples/bundle.json`, 'utf8'));
  change(bundle);
  writeFileSync(`${root}/.demo/${name}.json`, `${JSON.stringify(bundle, undefined, 2)}\n`);
  return `.demo/${name}.json`;
};

run(
  'Attack: one bit of the signed document is changed',
  [
    attack('document-changed', ({ pcrs, attestation: { nitro } }) => {
      const at = nitro.document.indexOf(pcrs.sha384['4']); // PCR4 inside the signed document
      const digit = (Number.parseInt(nitro.document[at], 16) ^ 1).toString(16);
      nitro.document = nitro.document.slice(0, at) + digit + nitro.document.slice(at + 1);
    }),
    ...COMMON,
    '--nonce',
    NONCE,
  ],
  1,
  lastLine,
);
run(
  'Attack: a PCR in the JSON is replaced by the one that the manifest wants',
  [
    attack('pcr-changed', ({ pcrs }) => {
      pcrs.sha384['4'] = '00'.repeat(48);
    }),
    ...COMMON,
    '--nonce',
    NONCE,
  ],
  1,
  lastLine,
);
run(
  'Attack: the old bundle is replayed for a new challenge',
  ['examples/bundle.json', ...COMMON, '--nonce', '00112233445566778899aabbccddeeff'],
  1,
  lastLine,
);
run(
  'The same bundle judged by the clock: stored evidence does not pass for fresh',
  ['examples/bundle.json', ...COMMON.slice(0, 4), '--nonce', NONCE],
  1,
  lastLine,
);

console.log(surprises === 0 ? '\nAll as expected.' : `\n${surprises} surprises.`);
process.exitCode = surprises === 0 ? 0 : 1;
