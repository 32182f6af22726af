import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parentInstancePcr } from 'tee-verify/measure';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeArchive } from './testing/make-archive.js';
import { makeSigningKey } from './testing/make-signing-key.js';

const COMMAND = fileURLToPath(new URL('bin/tee-eif.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../dist/tee-eif.js', import.meta.url));
if (!existsSync(BUILT)) throw new Error('tee-eif is not built: run npm run build first');

const folder = mkdtempSync(join(tmpdir(), 'tee-eif-cli-'));
const at = (...names: string[]): string => join(folder, ...names);

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  args: readonly string[],
  input?: Uint8Array,
  nodeArgs: readonly string[] = [],
): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeArgs, COMMAND, ...args], {
    cwd: folder,
    encoding: 'utf8',
    ...(input !== undefined && { input }),
  });
  return { status, stdout, stderr };
}

/** One line with the code and the hint, never a stack trace. */
function expectError({ status, stdout, stderr }: Outcome, code: string, expected = 1): void {
  expect(stderr).toMatch(new RegExp(`^tee-eif: ${code.replace('.', '\\.')}: .+ Hint: .+\n$`));
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stdout).toBe('');
  expect(status).toBe(expected);
}

const ROOT = ['--root', 'root', '--entrypoint', '/bin/app', '--env', 'A=1'];
const BASE = ['build', '--kernel', 'kernel', '--cmdline', 'reboot=k', '--init', 'init', ...ROOT];
const SIGN = ['--private-key', 'key.pem', '--certificate', 'cert.pem'];

beforeAll(async () => {
  mkdirSync(at('root/bin'), { recursive: true });
  writeFileSync(at('root/bin/app'), 'app', { mode: 0o755 });
  writeFileSync(at('kernel'), 'a kernel');
  writeFileSync(at('config'), '#\n# Linux/x86_64 6.1.9 Kernel Configuration\n');
  writeFileSync(at('init'), 'init');
  writeFileSync(at('meta.json'), '{"team":"payments"}');
  writeFileSync(at('evil.cpio'), makeArchive([{ name: '../evil', data: 'x' }]));
  const { privateKey, certificate } = await makeSigningKey();
  writeFileSync(at('key.pem'), privateKey);
  writeFileSync(at('cert.pem'), certificate);
  expect(run([...BASE, '--out', 'app.eif']).status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('tee-eif', () => {
  it.each([[], ['build'], ['describe'], ['verify'], ['sign'], ['extract'], ['cpio']])(
    '--help explains itself: %s',
    (...names) => {
      const { status, stdout } = run([...names, '--help']);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^Usage: tee-eif/);
      if (names.length > 0) expect(stdout).toMatch(/Examples?:[\s\S]*Exit status:/);
    },
  );

  it.each(
    [
      ['nonsense'],
      ['build'],
      [...BASE],
      [...BASE, '--out', 'x', '--arch', 'riscv64'],
      [...BASE, '--out', 'x', '--compress', 'xz'],
      [...BASE, '--out', '-'],
      [...BASE, '--out', 'x', '--private-key', 'key.pem'],
      ['build', '--kernel', 'kernel', '--cmdline', 'x', '--out', 'x'],
      ['build', '--kernel', 'kernel', '--cmdline', 'x', '--out', 'x', '--root', 'root'],
      ['build', '--kernel', 'kernel', '--cmdline', 'x', '--out', 'x', ...ROOT],
      ['build', '--kernel', '-', '--cmdline', 'x', '--out', 'x', '--ramdisk', '-'],
      [...BASE, '--out', 'x', '--metadata', 'kernel'],
      [...BASE, '--out', 'x', '--kernel', 'nothing'],
      ['describe'],
      ['describe', 'nothing'],
      ['describe', 'root'],
      ['verify', 'app.eif'],
      ['verify', 'app.eif', '--manifest', 'nothing'],
      ['sign', 'app.eif', '--out', 'x'],
      ['extract', 'app.eif'],
      ['extract', 'app.eif', '--out', 'root'],
      ['extract', 'app.eif', '--out', 'x', '--max-bytes', '1k'],
      ['cpio', 'nothing', '--out', 'x'],
    ].map((args) => ({ args })),
  )('$args is a usage error', ({ args }) => {
    const { status, stdout, stderr } = run(args);
    expect(stderr).toMatch(/^(error|tee-eif): /);
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(existsSync(at('x'))).toBe(false);
  });
});

describe('tee-eif build', () => {
  it('prints and writes the PCRs, and the same image at another time with another umask', () => {
    const { stdout, stderr, status } = run([...BASE, '--out', 'first.eif', ...SIGN]);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(readFileSync(at('pcr.json'), 'utf8')).toBe(stdout);
    const { Measurements } = JSON.parse(stdout);
    expect(Object.keys(Measurements)).toEqual(['HashAlgorithm', 'PCR0', 'PCR1', 'PCR2', 'PCR8']);
    expect(Measurements.HashAlgorithm).toBe('Sha384 { ... }');
    const later =
      'data:text/javascript,Date.now=()=>4e12;process.umask(0o077);process.env.TZ="Asia/Tokyo"';
    const again = run([...BASE, '--out', 'second.eif', '--pcr-file', '-', ...SIGN], undefined, [
      `--import=${later}`,
    ]);
    expect(again).toEqual({ stdout, stderr: '', status: 0 });
    expect(readFileSync(at('second.eif'))).toEqual(readFileSync(at('first.eif')));
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('takes ramdisks as they are, metadata, and the version of the kernel', () => {
    expect(run(['cpio', 'root', '--out', 'root.cpio']).status).toBe(0);
    const args = ['build', '--kernel', '-', '--kernel-config', 'config', '--cmdline', 'x'];
    const more = ['--ramdisk', 'root.cpio', '--ramdisk', 'root.cpio', '--arch', 'aarch64'];
    const names = ['--name', 'pay', '--version', '7', '--metadata', 'meta.json'];
    const { stderr } = run([...args, ...more, ...names, '--out', 'two.eif'], Buffer.from('kernel'));
    expect(stderr).toBe('');
    const described = JSON.parse(run(['describe', 'two.eif', '--json']).stdout);
    expect(described).toMatchObject({
      architecture: 'aarch64',
      commandLine: 'x',
      metadata: {
        ImageName: 'pay',
        ImageVersion: '7',
        BuildMetadata: {
          BuildTime: '1970-01-01T00:00:00+00:00',
          OperatingSystem: 'Linux',
          KernelVersion: '6.1.9',
        },
        CustomMetadata: { team: 'payments' },
      },
      signature: null,
      problems: [],
    });
    expect(described.sections.map((section: { type: string }) => section.type)).toEqual([
      ...['kernel', 'cmdline', 'metadata', 'ramdisk', 'ramdisk'],
    ]);
  });

  it('says what is wrong', () => {
    expectError(run([...BASE, '--cmdline', ' ', '--out', 'x']), 'build.command-line');
    expectError(run([...BASE, '--env', 'B', '--out', 'x']), 'build.entrypoint-invalid');
    const wrong = ['--private-key', 'cert.pem', '--certificate', 'cert.pem'];
    expectError(run([...BASE, '--out', 'x', ...wrong]), 'signing.key-invalid');
    expectError(run([...BASE, '--out', 'no/such/x']), 'file.unwritable', 2);
  });
});

describe('tee-eif describe', () => {
  it('describes for people, from standard input, too', () => {
    expect(run([...BASE, '--out', 'signed.eif', ...SIGN]).status).toBe(0);
    const { stdout, status } = run(['describe', '-'], readFileSync(at('signed.eif')));
    expect(status).toBe(0);
    expect(stdout).toMatch(/^EIF version 4 for x86_64, \d+ bytes\n/);
    expect(stdout).toMatch(/PCR8 {2}[0-9a-f]{96}/);
    expect(stdout).toMatch(/Signature {2}ES384, verifies\n {2}certificate of release P-384\n/);
  });

  it('says what is wrong, and fails', () => {
    const bytes = readFileSync(at('app.eif'));
    bytes.writeUInt8(bytes.readUInt8(560) ^ 1, 560);
    writeFileSync(at('damaged.eif'), bytes);
    const { stdout, status } = run(['describe', 'damaged.eif']);
    expect(stdout).toMatch(/^WRONG {2}eif\.crc-mismatch/m);
    expect(status).toBe(1);
    const json = run(['describe', 'damaged.eif', '--json']);
    expect(JSON.parse(json.stdout).problems[0].code).toBe('eif.crc-mismatch');
    expect(json.status).toBe(1);
    expectError(run(['describe', 'kernel']), 'eif.not-eif');
    expectError(run(['verify', 'damaged.eif', '--manifest', 'pcr.json']), 'eif.crc-mismatch');
    expectError(run(['extract', 'damaged.eif', '--out', 'x']), 'eif.crc-mismatch');
  });
});

describe('tee-eif verify', () => {
  const manifest = (sets: readonly object[], platform = 'enclave'): string => {
    const json = { version: 1, platform, hashAlgorithm: 'SHA384', measurementSets: sets };
    writeFileSync(at('manifest.json'), JSON.stringify(json));
    return 'manifest.json';
  };
  const pcrs = (): Record<string, string> => {
    const { measurements } = JSON.parse(run(['describe', 'app.eif', '--json']).stdout);
    return { 0: measurements.PCR0, 1: measurements.PCR1, 2: measurements.PCR2 };
  };
  const verify = (sets: readonly object[], ...more: readonly string[]): Outcome =>
    run(['verify', 'app.eif', '--manifest', manifest(sets), ...more]);
  const OTHER = 'ab'.repeat(48);

  it('accepts what was built, and says what only a running enclave shows', () => {
    expect(run([...BASE, '--out', 'app.eif']).status).toBe(0);
    const { stdout, status } = run(['verify', 'app.eif', '--manifest', 'pcr.json']);
    expect(stdout).toMatch(/^verified: PCR0, PCR1, PCR2 as in /);
    expect(status).toBe(0);
    const all = { ...pcrs(), 4: parentInstancePcr('i-0123456789abcdef0') };
    const json = verify([{ label: 'one', pcrs: all }], '--json');
    expect(JSON.parse(json.stdout)).toEqual({
      ...{ verdict: 'verified', label: 'one', compared: [0, 1, 2], notCompared: [4] },
    });
    expect(verify([{ label: 'one', pcrs: all }]).stdout).toMatch(/not compared.*PCR4\n$/);
  });

  it('refuses everything else', () => {
    const good = pcrs();
    const wrong = { ...good, 2: OTHER };
    expectError(verify([{ label: 'a', pcrs: wrong }]), 'pcr.mismatch');
    expectError(verify([{ label: 'a', pcrs: { ...good, 8: OTHER } }]), 'pcr.missing');
    const revoked = { label: 'r', pcrs: { 0: good[0] }, revoked: { reason: 'x' } };
    expectError(verify([{ label: 'a', pcrs: good }, revoked]), 'pcr.revoked');
    expectError(verify([revoked]), 'manifest.no-accepted-set');
    const late = { label: 'a', pcrs: good, notAfter: '2020-01-01T00:00:00Z' };
    expectError(verify([late]), 'pcr.set-outside-validity');
    expectError(verify([{ label: 'a', pcrs: { 1: good[1] } }]), 'manifest.incomplete');
    expectError(verify([{ label: 'a', pcrs: { 3: OTHER } }]), 'manifest.incomplete');
    const zero = { 0: '00'.repeat(48) };
    expectError(verify([{ label: 'a', pcrs: zero }]), 'manifest.incomplete');
    const nitro = run(['verify', 'app.eif', '--manifest', manifest([], 'nitrotpm')]);
    expectError(nitro, 'manifest.platform-mismatch');
    expectError(run(['verify', 'app.eif', '--manifest', 'kernel']), 'manifest.malformed');
    const keys = ['--manifest-keys', 'cert.pem'];
    expectError(verify([{ label: 'a', pcrs: good }], ...keys), 'manifest.signature-required');
  });
});

describe('tee-eif sign and extract', () => {
  it('signs what was built before, in place', () => {
    expect(run([...BASE, '--out', 'later.eif']).status).toBe(0);
    const { stdout, status } = run(['sign', 'later.eif', ...SIGN, '--out', 'later.eif']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).Measurements.PCR8).toMatch(/^[0-9a-f]{96}$/);
    expect(run(['describe', 'later.eif']).stdout).toContain('ES384, verifies');
  });

  it('extracts, and writes nothing outside', () => {
    const { stdout, status } = run(['extract', 'app.eif', '--out', 'deep', '--unpack']);
    expect(status).toBe(0);
    expect(stdout.trim().split('\n').sort()).toEqual(readdirSync(at('deep')).sort());
    expect(readFileSync(at('deep/ramdisk-2.d/rootfs/bin/app'), 'utf8')).toBe('app');
    const evil = ['build', '--kernel', 'kernel', '--cmdline', 'x', '--ramdisk', 'evil.cpio'];
    expect(run([...evil, '--out', 'evil.eif']).status).toBe(0);
    const before = readdirSync(folder);
    expectError(run(['extract', 'evil.eif', '--out', 'y', '--unpack']), 'ramdisk.path-escape');
    expect(readdirSync(folder)).toEqual(before);
  });
});
