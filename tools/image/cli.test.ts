import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makePe, ukiSections } from '../../src/measure/test-support/make-pe.js';

const COMMAND = fileURLToPath(new URL('bin/tee-image.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../dist/tee-image.js', import.meta.url));
const BOOT = fileURLToPath(new URL('../../../shared/vectors/boot/', import.meta.url));
const PCR7_SECURE_BOOT_OFF =
  '98441c7f7625d10058c47683aec486ce311c633235eb555593a7ee791121e3578ae72d04ecef661f272d59058b77af35';

if (!existsSync(BUILT)) throw new Error('tee-image is not built: run npm run build first');

const folder = mkdtempSync(join(tmpdir(), 'tee-image-cli-'));
const at = (name: string): string => join(folder, name);
const uki = at('payments.efi');
const other = at('other.efi');

beforeAll(() => {
  writeFileSync(uki, makePe(ukiSections()));
  const changes = { '.cmdline': new TextEncoder().encode('debug') };
  writeFileSync(other, makePe(ukiSections('252.39', changes)));
  writeFileSync(at('unknown.efi'), makePe(ukiSections('255.1')));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], input?: Uint8Array): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], {
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
  return { status, stdout, stderr };
}

/** One line with the code and the hint, never a stack trace. */
function expectError({ status, stdout, stderr }: Outcome, code: string, expected: number): void {
  expect(stderr).toMatch(new RegExp(`^tee-image: ${code.replace('.', '\\.')}: .+ Hint: .+\n$`));
  expect(stdout).toBe('');
  expect(status).toBe(expected);
}

describe('tee-image', () => {
  it.each([[], ['measure'], ['eventlog'], ['diff']])('--help explains itself: %s', (...names) => {
    const { status, stdout } = run([...names, '--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Usage: tee-image/);
    if (names.length > 0) expect(stdout).toMatch(/Examples?:[\s\S]*Exit status:/);
  });

  it.each(
    [
      ['measure'],
      ['measure', 'x', '--pcrs', '5'],
      ['measure', 'x', '--pcrs', '0x4'],
      ['measure', 'x', '--pcrs', '4.0'],
      ['measure', 'x', '--pcrs', ''],
      ['eventlog', 'x', '--pcr', ''],
      ['eventlog', 'x', '--pcr', '0x4'],
      ['eventlog', 'x', '--pcr', '4,'],
      ['measure', 'x', '--format', 'yaml'],
      ['measure', 'x', '--stub-profile', '251'],
      ['eventlog', 'x', '--pcr', '24'],
      ['nonsense'],
      ['diff', 'x'],
      ['measure', '-', '-'],
    ].map((args) => ({ args })),
  )('$args is a usage error', ({ args }) => {
    const { status, stdout, stderr } = run(args);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^(error|tee-image): /);
    expect(stderr).not.toMatch(/^ {4}at /m);
  });
});

describe('tee-image and its output', () => {
  const sh = (line: string): Outcome => {
    const { status, stdout, stderr } = spawnSync('/bin/bash', ['-c', line], { encoding: 'utf8' });
    return { status, stdout, stderr };
  };
  const tool = `'${process.execPath}' '${COMMAND}'`;

  it('says its version', () => {
    const { status, stdout } = run(['--version']);
    expect({ status, stdout }).toMatchObject({ status: 0 });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/);
  });

  it('ends quietly when the reader closes the pipe', () => {
    const { stderr } = sh(`${tool} measure '${uki}' | head -c 1; ${tool} --help | head -1`);
    expect(stderr).toBe('');
  });

  it.skipIf(!existsSync('/dev/full'))('says in one line that the disk is full', () => {
    const { status, stderr } = sh(`${tool} measure '${uki}' > /dev/full`);
    expect(stderr).toMatch(/^tee-image: file\.unwritable: .*ENOSPC.*\n$/);
    expect(status).toBe(2);
  });

  it('keeps the old file when the new one does not fit', () => {
    writeFileSync(at('old.json'), 'old');
    // A limit of the shell's: no file larger than 1 KiB.
    const { status, stderr } = sh(
      `ulimit -f 1; ${tool} measure '${uki}' --out '${at('old.json')}'`,
    );
    expect(stderr).toMatch(/file\.unwritable/);
    expect(status).toBe(2);
    expect(readFileSync(at('old.json'), 'utf8')).toBe('old');
  });
});

describe('tee-image measure', () => {
  it('prints what AWS prints', () => {
    const { status, stdout, stderr } = run(['measure', uki, '--format', 'aws']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(
      new RegExp(
        `^\\{\n {2}"Measurements": \\{\n {4}"HashAlgorithm": "SHA384",\n {4}"PCR4": "[0-9a-f]{96}",\n {4}"PCR7": "${PCR7_SECURE_BOOT_OFF}",\n {4}"PCR12": "0{96}"\n {2}\\}\n\\}\n$`,
      ),
    );
    const selected = JSON.parse(run(['measure', uki, '--format', 'aws', '--pcrs', '12,4']).stdout);
    expect(Object.keys(selected.Measurements)).toEqual(['HashAlgorithm', 'PCR4', 'PCR12']);
  });

  it('writes a manifest to a file', () => {
    const out = at('out.json');
    const options = ['--out', out, '--image-version', '3', '--label', 'prod'];
    expect(run(['measure', uki, ...options])).toEqual({ status: 0, stdout: '', stderr: '' });
    const manifest = JSON.parse(readFileSync(out, 'utf8'));
    expect(manifest).toMatchObject({ version: 1, name: 'payments', imageVersion: '3' });
    expect(manifest.measurementSets[0].label).toBe('prod');
    expect(Object.keys(manifest.measurementSets[0].pcrs)).toEqual(['4', '7', '9', '11', '12']);
  });

  it('names the manifest after the UKI, not after what runs before it', () => {
    const loader = at('loader.efi');
    writeFileSync(loader, makePe([{ name: '.text', data: new Uint8Array(9) }]));
    expect(JSON.parse(run(['measure', loader, uki]).stdout).name).toBe('payments');
  });

  it('prints a table, and reads standard input', () => {
    const { status, stdout } = run(['measure', '-', '--format', 'table'], readFileSync(uki));
    expect(status).toBe(0);
    expect(stdout).toMatch(/^systemd-stub 252.39-1~deb12u2, measured as profile 252/);
    expect(stdout).toMatch(/Authenticode digest of the UKI standard input/);
    expect(stdout).toMatch(/PCR12 +0{96}\n {2}nothing is measured/);
  });

  it('shows a command line from outside in PCR12', () => {
    const options = ['--cmdline-override', 'evil=1', '--pcrs', '12', '--format', 'table'];
    expect(run(['measure', uki, ...options]).stdout).toMatch(/command line from outside: evil=1/);
  });

  it('says what is wrong', () => {
    expectError(run(['measure', at('nothing')]), 'file.unreadable', 2);
    expectError(run(['measure', folder]), 'file.unreadable', 2);
    expectError(run(['measure', COMMAND]), 'pe.not-pe', 1);
    expectError(run(['measure', at('unknown.efi')]), 'uki.stub-unknown', 1);
    expectError(run(['measure', uki, '--db', COMMAND]), 'esl.pk-missing', 1);
    expectError(run(['measure', uki, '--pk', COMMAND]), 'esl.malformed', 1);
    expectError(run(['measure', uki, '--pk', at('nothing')]), 'file.unreadable', 2);
    expectError(run(['measure', uki, '--out', join(folder, 'no', 'where')]), 'file.unwritable', 2);
  });

  it('takes a chosen profile for an unknown stub', () => {
    const { status, stdout } = run(['measure', at('unknown.efi'), '--stub-profile', '257']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).measurementSets[0].pcrs[4]).toMatch(/^[0-9a-f]{96}$/);
  });
});

describe('tee-image diff', () => {
  const manifest = (image: string, ...options: readonly string[]): string => {
    const out = at(`${options.length}-${image.split('/').at(-1)}.json`);
    expect(run(['measure', image, '--out', out, ...options]).status).toBe(0);
    return out;
  };

  it('names the events that changed', () => {
    const [before, after] = [manifest(uki), manifest(other)];
    expect(run(['diff', before, before])).toEqual({
      status: 0,
      stdout: 'no difference\n',
      stderr: '',
    });
    const { status, stdout } = run(['diff', before, after]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^payments \u2192 other:\n {2}PCR4\n/);
    expect(stdout).toMatch(/- .*load options: console=ttyS0 quiet\n.*\+ .*load options: debug/);
    expect(stdout).not.toMatch(/PCR7|PCR12/);
    expect(JSON.parse(run(['diff', before, after, '--json']).stdout)[0].pcrs).toHaveLength(3);
  });

  it('refuses events that do not replay to their PCR: they would blame the wrong one', () => {
    const good = manifest(uki);
    const edited = JSON.parse(readFileSync(good, 'utf8'));
    edited.measurementSets[0].pcrs[4] = 'ab'.repeat(48);
    const bad = at('edited.json');
    writeFileSync(bad, JSON.stringify(edited));
    expectError(run(['diff', good, bad]), 'manifest.malformed', 1);
  });

  it('reads AWS\u2019s form, which lists no events', () => {
    const aws = [uki, other].map((image) => manifest(image, '--format', 'aws'));
    const { status, stdout } = run(['diff', ...aws]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/PCR4\n.*\n.*\n.*no list of events/);
  });

  it('says what is wrong', () => {
    const bad = at('bad.json');
    const good = manifest(uki);
    const cases = [
      '[]',
      '{',
      '{}',
      '{"measurementSets":[]}',
      '{"measurementSets":[{"label":"x","pcrs":{"4":"zz"}}]}',
      '{"measurementSets":[{"label":"x","pcrs":{"4":"aa"},"events":[{}]}]}',
      '{"Measurements":{"PCR4":"aa","PCR7":"aabb"}}',
    ];
    for (const text of cases) {
      writeFileSync(bad, text);
      expectError(run(['diff', good, bad]), 'manifest.malformed', 1);
    }
  });
});

describe.skipIf(!existsSync(BOOT))('tee-image eventlog', () => {
  const log = `${BOOT}loadopts/eventlog.bin`;
  const pcrs = `${BOOT}loadopts/pcrs-sha384.json`;

  it('explains a log and PCR values', () => {
    const { status, stdout } = run(['eventlog', log, '--pcrs', pcrs]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/= PCR12 [0-9a-f]{12} EV_IPL: console=ttyS0 quiet panic=-1 evil=1\n/);
    expect(stdout).toMatch(/PCR10 NOT explained: IMA/);
    expect(stdout).toMatch(/PCR7 +explained by 6 events/);
  });

  it('fails when the log does not explain a PCR', () => {
    const { status, stdout } = run(['eventlog', log, '--pcrs', `${BOOT}base/pcrs-sha384.json`]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/PCR12 NOT explained/);
  });

  it('fails when an attacker edited the data of an event', () => {
    const bytes = readFileSync(log);
    const name = Buffer.from('SecureBoot', 'utf16le');
    const value = bytes.indexOf(name) + name.length;
    bytes[value] = 1 - (bytes[value] as number);
    const { status, stdout } = run(['eventlog', '-'], bytes);
    expect(stdout).toMatch(/^ +\d+ ! PCR7 .*EV_EFI_VARIABLE_DRIVER_CONFIG: SecureBoot on$/m);
    expect(status).toBe(1);
    expect(run(['eventlog', '-', '--pcr', '4'], bytes).status).toBe(0);
  });

  it('writes JSON, of chosen PCRs', () => {
    const { status, stdout } = run(['eventlog', '-', '--pcr', '5,12', '--json'], readFileSync(log));
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(new Set(report.events.map(({ pcr }: { pcr: number }) => pcr))).toEqual(new Set([5, 12]));
    expect(report.replayed).toHaveLength(11);
  });

  it('says what is wrong', () => {
    expectError(run(['eventlog', COMMAND]), 'eventlog.pcr-index', 1);
    expectError(run(['eventlog', '-'], new Uint8Array()), 'eventlog.empty', 1);
    expectError(run(['eventlog', log, '--pcrs', log]), 'manifest.malformed', 1);
  });
});

if (!existsSync(BOOT)) {
  const message = `SKIPPED: tee-image eventlog on real logs; ${BOOT} does not exist`;
  if (process.env.CI) throw new Error(message);
  console.warn(message);
}
