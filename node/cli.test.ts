import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'node/bin/tee-verify.js');
const NONCE = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf';
const BUNDLE = join(root, 'examples/bundle.json');
const MANIFEST = join(root, 'examples/manifest.json');
const COMMON = [
  '-m',
  MANIFEST,
  '--trust-anchor',
  join(root, 'examples/simulated-root.pem'),
  '--at',
  'document',
];

let folder: string;
const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

/** Runs the command as it ships, without a terminal. */
function run(args: readonly string[], input: string | Uint8Array = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
    input: input as string,
    cwd: folder,
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tee-verify-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('tee-verify <evidence>', () => {
  it('verifies, names every step, and closes with one line', () => {
    const { status, stdout, stderr } = run([BUNDLE, ...COMMON, '-n', NONCE]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^VERIFIED i-/);
    for (const step of ['evidence', 'manifest', 'cbor', 'document', 'x509', 'cose', 'quote', 'pcr'])
      expect(stdout).toMatch(new RegExp(`^✓ ${step}`, 'm'));
    expect(stdout).not.toContain('\u001b');
  });

  it('rejects with code, expected, actual and hint in the closing line', () => {
    const { status, stdout, stderr } = run([BUNDLE, ...COMMON, '-n', '00']);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(
      /^REJECTED freshness\.nonce-mismatch: .*expected 00; got a0a1.* — /,
    );
  });

  it('speaks of flags, not of options of the library, in its hints', () => {
    const partial = file('partial.json', JSON.stringify({ PCR4: 'ab'.repeat(48) }));
    const { stdout } = run([BUNDLE, '-m', partial, ...COMMON.slice(2)]);
    expect(stdout).toContain('manifest.incomplete');
    expect(stdout).toContain('--allow-partial-manifest');
    expect(stdout).not.toContain('allowPartialManifest');
  });

  it('--json prints one report and nothing else', () => {
    for (const nonce of [NONCE, '00']) {
      const { status, stdout, stderr } = run([BUNDLE, ...COMMON, '-n', nonce, '--json']);
      const report = JSON.parse(stdout);
      expect(stderr).toBe('');
      expect(report.verdict).toBe(status === 0 ? 'verified' : 'rejected');
      expect(Object.keys(report)).toEqual(expect.arrayContaining(['verdict', 'steps', 'claims']));
    }
  });

  it('reads standard input for -', () => {
    expect(run(['-', ...COMMON, '-n', NONCE], readFileSync(BUNDLE)).status).toBe(0);
    expect(run([BUNDLE, '-m', '-', ...COMMON.slice(2)], readFileSync(MANIFEST)).status).toBe(0);
  });

  it.each<readonly [string, () => readonly string[], RegExp]>([
    ['no argument', () => COMMON, /missing required argument 'evidence'/],
    ['no manifest', () => [BUNDLE], /missing --manifest <file>/],
    ['no such file', () => ['nowhere.json', ...COMMON], /cannot read nowhere\.json: no such file/],
    ['a directory', () => ['.', ...COMMON], /cannot read \.: it is a directory/],
    ['no such manifest', () => [BUNDLE, '-m', 'nowhere.json'], /cannot read nowhere\.json/],
    ['standard input twice', () => ['-', '-m', '-'], /only one of the inputs/],
    ['a nonce that is not hex', () => [BUNDLE, ...COMMON, '-n', 'xyz'], /Expected hex text/],
    ['an empty nonce', () => [BUNDLE, ...COMMON, '-n', ''], /Expected hex text/],
    ['a time that is none', () => [BUNDLE, '-m', MANIFEST, '--at', 'noon'], /Expected "document"/],
    ['30 February', () => [BUNDLE, '-m', MANIFEST, '--at', '2026-02-30T00:00:00Z'], /Expected/],
    ['a misspelled option', () => [BUNDLE, '--nonse', '00'], /unknown option '--nonse'/],
    ['a misspelled command', () => ['verfy', BUNDLE], /too many arguments/],
    [
      'an anchor without certificate',
      () => [BUNDLE, '-m', MANIFEST, '--trust-anchor', MANIFEST],
      /not a PEM file/,
    ],
    [
      'an anchor of garbage',
      () => [
        BUNDLE,
        '-m',
        MANIFEST,
        '--trust-anchor',
        file('bad.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
      ],
      /trust anchor/,
    ],
    [
      'keys that are no JSON',
      () => [BUNDLE, '-m', MANIFEST, '--manifest-keys', file('keys.json', '{')],
      /keys\.json is not/,
    ],
    ['an unknown provider', () => [BUNDLE, ...COMMON, '--provider', 'rot13'], /Allowed choices/],
  ])('%s: one clear line and status 2', (_name, args, line) => {
    const { status, stdout, stderr } = run(args());
    expect(stdout).toBe('');
    expect(stderr).toMatch(line);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(status).toBe(2);
  });

  it.each<readonly [string, string | Uint8Array, RegExp]>([
    ['nothing', '', /REJECTED evidence\.empty/],
    ['garbage', 'garbage', /REJECTED evidence\.unrecognized/],
    ['binary', Uint8Array.of(0, 1, 2, 255), /REJECTED evidence\.unrecognized/],
    ['half a bundle', '{"attestation":', /REJECTED evidence\.json-invalid/],
    [
      'deep JSON',
      `{"attestation":{"nitro":{}},"version":${'['.repeat(9000)}${']'.repeat(9000)}}`,
      /REJECTED evidence\./,
    ],
    ['three megabytes', 'a'.repeat(3_000_000), /REJECTED evidence\.too-large/],
  ])('%s is rejected with a code and status 1', (_name, content, line) => {
    const { status, stdout, stderr } = run(['-', ...COMMON], content);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(line);
  });

  it('takes an anchor before or after the evidence, and several of them', () => {
    const [m, manifest, flag, anchor, at, time] = COMMON as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    expect(run([flag, anchor, flag, anchor, BUNDLE, m, manifest, at, time]).status).toBe(0);
  });

  it('explains itself: --help has options, examples and exit status', () => {
    const { status, stdout } = run(['--help']);
    expect(status).toBe(0);
    for (const text of ['--manifest', '--nonce', '--at', 'Examples:', 'Exit status: 0 verified'])
      expect(stdout).toContain(text);
    for (const command of ['verify', 'inspect', 'batch', 'explain'])
      expect(run([command, '--help']).status).toBe(0);
  });
});

describe('tee-verify inspect', () => {
  it('says that nothing is proven', () => {
    const { status, stdout } = run(['inspect', BUNDLE]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^UNVERIFIED/);
    expect(JSON.parse(run(['inspect', BUNDLE, '--json']).stdout)).toMatchObject({
      verified: false,
      platform: 'nitrotpm',
    });
  });

  it('gives the code for what it cannot read', () => {
    const { status, stderr } = run(['inspect', '-'], 'garbage');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^UNREADABLE evidence\.unrecognized/);
  });
});

describe('tee-verify explain', () => {
  it('explains codes of verification and of measuring', () => {
    expect(run(['explain', 'x509.expired']).stdout).toContain('past its validity');
    expect(run(['explain', 'pe.truncated']).status).toBe(0);
    expect(run(['explain']).stdout).toContain('quote.nonce-mismatch');
  });

  it('suggests codes of the same step', () => {
    const { status, stderr } = run(['explain', 'x509.nonsense']);
    expect(status).toBe(2);
    expect(stderr).toContain('x509.expired');
    expect(run(['explain', '__proto__']).status).toBe(2);
  });
});

describe('tee-verify batch', () => {
  const good = readFileSync(BUNDLE, 'utf8');

  it('prints a line each, in order of the list, and a summary by code', () => {
    file('good.json', good);
    file('bad.json', good.replace('"4": "', '"4": "00').slice(0, -3));
    const list = file('list.txt', '\ngood.json\n\nmissing.json\r\nbad.json\n');
    const { status, stdout } = run(['batch', list, ...COMMON]);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^VERIFIED .*good\.json/);
    expect(lines[1]).toMatch(/^UNREADABLE .*missing\.json/);
    expect(lines[2]).toMatch(/^REJECTED .*bad\.json.*evidence\.json-invalid/);
    expect(lines[3]).toBe('3 files');
    expect(status).toBe(1);
  });

  it('reads a directory, links to files included', () => {
    const dir = join(folder, 'dir');
    mkdirSync(join(dir, 'sub'), { recursive: true });
    writeFileSync(join(dir, 'a.json'), good);
    symlinkSync(join(dir, 'a.json'), join(dir, 'link.json'));
    const { status, stdout, stderr } = run(['batch', dir, ...COMMON, '--jsonl']);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ verdict }) => verdict)).toEqual(['verified', 'verified']);
    expect(stderr).toContain('2 files');
    expect(status).toBe(0);
    symlinkSync('/nowhere', join(dir, 'dangling'));
    expect(run(['batch', dir, ...COMMON]).status).toBe(2);
  });

  it.each<readonly [string, () => readonly string[]]>([
    ['an empty directory', () => [mkdtempSync(join(folder, 'empty-'))]],
    ['an empty list', () => [file('empty.txt', '\n\n')]],
    ['nothing on standard input', () => ['-']],
    ['no such source', () => ['nowhere']],
    ['a list without line ends', () => [file('long.txt', 'x'.repeat(200_000))]],
  ])('%s: having verified nothing is not a success', (_name, args) => {
    const { status, stderr } = run(['batch', ...args(), ...COMMON]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^tee-verify: /);
  });

  it('goes on behind a file that is made to break it', () => {
    const deep = file(
      'deep.json',
      `{"attestation":{},"version":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
    );
    const list = file('two.txt', `${deep}\ngood.json\n`);
    file('good.json', good);
    const { stdout } = run(['batch', list, ...COMMON]);
    expect(stdout).toMatch(/^REJECTED .*deep\.json/m);
    expect(stdout).toMatch(/^VERIFIED .*good\.json/m);
  });
});

describe('what reaches the terminal', () => {
  it('shows control characters and marks that reorder text, never sends them', () => {
    const name = 'evil\u001b[31m\u202e\u009b.json';
    for (const args of [
      ['batch', '-', ...COMMON],
      [name, ...COMMON],
    ]) {
      const { stdout, stderr } = run(args, `${name}\n`);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(stdout + stderr).not.toMatch(/[\u001b\u009b\u202e]/);
    }
  });

  it('ends quietly when the reader has seen enough', async () => {
    const list = file('many.txt', 'good.json\n'.repeat(300));
    const child = spawn(process.execPath, [program, 'batch', list, ...COMMON], { cwd: folder });
    let errors = '';
    child.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    await once(child, 'exit');
    expect(errors).toBe('');
  });
});
