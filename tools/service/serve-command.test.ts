import { execFile } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createSigner, signManifest } from 'tee-verify/manifest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MANIFEST } from '../../src/result/test-support/sample-evidence.js';

const COMMAND = fileURLToPath(new URL('bin/tee-verifier.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../dist/tee-verifier.js', import.meta.url));
if (!existsSync(BUILT)) throw new Error('tee-verifier is not built: run npm run build first');

const folder = mkdtempSync(join(tmpdir(), 'tee-verifier-serve-'));
const at = (name: string): string => join(folder, name);
const pair = (): { publicKey: KeyObject; privateKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' });
const [ann, bob] = [pair(), pair()];
const pem = (key: KeyObject): string => String(key.export({ format: 'pem', type: 'spki' }));
const privatePem = String(ann.privateKey.export({ format: 'pem', type: 'pkcs8' }));

beforeAll(async () => {
  const files: Record<string, string> = {
    'key.pem': privatePem,
    'manifest.json': MANIFEST,
    'incomplete.json': MANIFEST.replace(/,"12":"0+"/, ''),
    'empty.json': MANIFEST.replace(/"measurementSets":\[.*?\}\}\]/, '"measurementSets":[]'),
    'by-one.jws': await signManifest(MANIFEST, await createSigner(privatePem)),
    'not-a.pem': 'garbage',
    'short.txt': 'abcd',
  };
  const keys = [ann, bob].map(({ publicKey }) => pem(publicKey));
  const oneLine = keys.map((key) => key.replaceAll('\n', ''));
  files['two-of-two.json'] = JSON.stringify({ keys, threshold: 2 });
  files['two-of-two-in-one-line.json'] = JSON.stringify({ keys: oneLine, threshold: 2 });
  for (const [name, text] of Object.entries(files)) writeFileSync(at(name), text);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Everything here must end by itself: what listens instead is cut off, and fails. */
function serve(
  args: readonly string[],
  input = '',
): Promise<{ readonly status: unknown; readonly stderr: string }> {
  return new Promise((resolve) => {
    const all = ['serve', '--listen', '127.0.0.1:0', '--threads', '1', ...args].map((arg) =>
      arg.replaceAll('FOLDER', folder),
    );
    const child = execFile(
      process.execPath,
      [COMMAND, ...all],
      { timeout: 15_000, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        expect(stdout, 'it listens').toBe('');
        resolve({ status: error?.code, stderr });
      },
    );
    child.stdin?.end(input);
  });
}

const KEY = ['--signing-key', 'FOLDER/key.pem'];
describe('tee-verifier serve does not start', () => {
  it.each<readonly [string, readonly string[], number, RegExp]>([
    [
      'with one of two signatures, rules with PEM',
      [
        ...['--policy', 'a=FOLDER/by-one.jws', ...KEY],
        ...['--manifest-keys', 'FOLDER/two-of-two.json'],
      ],
      1,
      /manifest\.threshold-not-met/,
    ],
    [
      'with one of two signatures, rules with PEM in one line',
      [
        ...['--policy', 'a=FOLDER/by-one.jws', ...KEY],
        ...['--manifest-keys', 'FOLDER/two-of-two-in-one-line.json'],
      ],
      1,
      /manifest\.threshold-not-met/,
    ],
    [
      'with a manifest that pins too little',
      ['--policy', 'a=FOLDER/incomplete.json', ...KEY],
      1,
      /manifest\.incomplete/,
    ],
    [
      'with a manifest that pins nothing',
      ['--policy', 'a=FOLDER/empty.json', ...KEY],
      1,
      /manifest\.incomplete/,
    ],
    [
      'with a root that is none',
      ['--policy', 'a=FOLDER/manifest.json', '--trust-anchor', 'FOLDER/not-a.pem', ...KEY],
      2,
      /usage\.option-invalid.*PEM/,
    ],
    [
      'with standard input twice',
      ['--policy', 'a=-', '--signing-key', '-'],
      2,
      /usage\.option-conflict.*- more than once/,
    ],
    [
      'with a challenge key that is too short',
      ['--policy', 'a=FOLDER/manifest.json', '--challenge-key', 'FOLDER/short.txt', ...KEY],
      1,
      /key\.unusable.*64 hex digits.*openssl rand -hex 32/,
    ],
    [
      'with an audience that no challenge takes',
      ['--policy', `${'a'.repeat(1025)}=FOLDER/manifest.json`, ...KEY],
      2,
      /1024/,
    ],
  ])('%s', async (_, args, status, line) => {
    const outcome = await serve(args, privatePem);
    expect(outcome.status, outcome.stderr).toBe(status);
    const [first, ...others] = outcome.stderr.trim().split('\n');
    expect(first).toMatch(line);
    // Of usage alone: where to read on.
    expect(others.filter((other) => !other.startsWith('(--help'))).toEqual([]);
  });
});
