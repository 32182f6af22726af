import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const COMMAND = fileURLToPath(new URL('../bin/tee-image.js', import.meta.url));
const STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';
const folder = mkdtempSync(join(tmpdir(), 'tee-image-audit-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]): string => join(folder, ...names);

const teeImage = (...args: readonly string[]) =>
  spawnSync(process.execPath, [COMMAND, ...args], { encoding: 'utf8' });
const run = (program: string, ...args: readonly string[]): void => {
  expect(spawnSync(program, args, { encoding: 'utf8' })).toMatchObject({ status: 0 });
};

function build(name: string, root: string, cmdline: string): void {
  const made = teeImage(
    ...['build', '--kernel', STUB, '--initrd', STUB, '--stub', STUB, '--root', at(root)],
    ...['--cmdline', cmdline, '--out', at(name)],
  );
  expect(made).toMatchObject({ status: 0, stderr: '' });
}

beforeAll(() => {
  for (const root of ['good', 'bad']) {
    mkdirSync(at(root, 'etc/systemd/system/default.target.wants'), { recursive: true });
    mkdirSync(at(root, 'usr/lib/systemd/system'), { recursive: true });
    writeFileSync(at(root, 'etc/shadow'), root === 'good' ? 'root:!::\n' : 'root:$6$a$b::\n');
    writeFileSync(at(root, 'usr/lib/systemd/system/default.target'), '[Unit]\n');
  }
  writeFileSync(at('bad/usr/lib/systemd/system/sshd.service'), '[Service]\nExecStart=/sshd\n');
  symlinkSync(
    '/usr/lib/systemd/system/sshd.service',
    at('bad/etc/systemd/system/default.target.wants/sshd.service'),
  );
  // A trap: a reader that follows it would read this machine's accounts.
  symlinkSync('/etc/passwd', at('good/etc/passwd'));
  build('good-image', 'good', 'lockdown=integrity');
  build('bad-image', 'bad', 'lockdown=integrity rd.break');
});

describe('tee-image audit', () => {
  it('finds nothing in a good image', () => {
    const { status, stdout, stderr } = teeImage('audit', at('good-image/image_1.raw'));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/no findings\n$/);
  });

  it('finds the same in the image and in the folder', () => {
    const raw = teeImage('audit', at('bad-image/image_1.raw'), '--json');
    expect(raw).toMatchObject({ status: 1, stderr: '' });
    const { findings } = JSON.parse(raw.stdout);
    expect(
      findings.map((one: { rule: string; where: string }) => `${one.rule} ${one.where}`),
    ).toEqual([
      'ssh-server /usr/lib/systemd/system/sshd.service',
      'password /etc/shadow',
      'command-line-debug kernel command line',
    ]);
    const line = 'lockdown=integrity rd.break roothash=00';
    const tree = teeImage('audit', at('bad'), '--json', '--cmdline', line);
    expect(JSON.parse(tree.stdout).findings).toEqual(findings);
  });

  it('says for people what was found, why it matters and what to do', () => {
    const { stdout, status } = teeImage('audit', at('bad-image/image_1.raw'));
    expect(status).toBe(1);
    expect(stdout).toContain('default.target → sshd.service');
    expect(stdout).toMatch(/Why it matters: Whoever holds/);
    expect(stdout).toMatch(/What to do: Leave the server out/);
    expect(stdout).toMatch(/3 findings: 3 high, 0 medium\n$/);
  });

  it('accepts what is allowed', () => {
    const { status, stdout } = teeImage(
      ...['audit', at('bad-image/image_1.raw'), '--allow', 'password', 'command-line-debug'],
      ...['--allow', '/usr/lib/systemd/system/sshd.service'],
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/no findings \(3 more allowed\)\n$/);
  });

  it('finds a second file on the EFI system partition', () => {
    const raw = at('bad-image/image_1.raw');
    writeFileSync(at('extra'), 'x');
    run('mcopy', '-i', `${raw}@@1048576`, at('extra'), '::/EFI/BOOT/EXTRA.EFI');
    const { stdout, status } = teeImage('audit', raw);
    expect(status).toBe(1);
    expect(stdout).toContain('ESP:EFI/BOOT/EXTRA.EFI');
  });

  it('reads an erofs file system by itself', () => {
    run('mkfs.erofs', at('plain.erofs'), at('good'));
    const { status, stdout } = teeImage('audit', at('plain.erofs'), '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout).notes.join()).toContain('no kernel command line');
  });

  it.each([
    ['no image', ['/nowhere/at/all'], 2, 'file.unreadable'],
    ['an unknown rule', ['.', '--allow', 'nonsense'], 2, 'usage.option-invalid'],
    ['no argument', [], 2, 'missing required argument'],
    ['something else', [COMMAND], 1, 'gpt.malformed'],
  ])('says what is wrong with %s, in one line', (_name, args, status, said) => {
    const outcome = teeImage('audit', ...args);
    expect(outcome.status).toBe(status);
    expect(outcome.stderr).toContain(said);
    expect(outcome.stderr).not.toContain('    at ');
  });

  it('refuses a command line beside an image that has one', () => {
    const outcome = teeImage('audit', at('good-image/image_1.raw'), '--cmdline', 'x');
    expect(outcome).toMatchObject({ status: 2 });
    expect(outcome.stderr).toContain('usage.option-conflict');
  });
});

describe('tee-image describe', () => {
  it('gives the description and the UKI of the build', () => {
    const args = ['describe', at('good-image/image_1.raw'), '--uki', at('uki.efi')];
    const { status, stdout } = teeImage(...args);
    expect(status).toBe(0);
    writeFileSync(at('partitions.json'), stdout);
    run('cmp', at('partitions.json'), at('good-image/partitions.json'));
    run('cmp', at('uki.efi'), at('good-image/unsigned.efi'));
  });

  it('does not take what is no image', () => {
    expect(teeImage('describe', COMMAND)).toMatchObject({ status: 1 });
    expect(teeImage('describe', '/nowhere')).toMatchObject({ status: 2 });
    expect(teeImage('describe', COMMAND, '--uki', '-')).toMatchObject({ status: 2 });
  });
});
