import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeArchive } from '../../eif/testing/make-archive.js';
import { skipLoudly } from '../test-support/nix-workspace.js';

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

function build(name: string, root: string, cmdline: string, ...more: readonly string[]): void {
  const made = teeImage(
    ...['build', '--kernel', STUB, '--initrd', at('initrd'), '--stub', STUB, '--root', at(root)],
    ...['--cmdline', cmdline, '--out', at(name), ...more],
  );
  expect(made).toMatchObject({ status: 0, stderr: '' });
}

beforeAll(() => {
  writeFileSync(at('initrd'), makeArchive([]));
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

  it('does not hand names of an image to the terminal as they are', () => {
    mkdirSync(at('marks/etc/systemd/system'), { recursive: true });
    writeFileSync(at('marks/etc/systemd/system/getty@\u001b[2J.service'), '[Service]\n');
    const { stdout, status } = teeImage('audit', at('marks'));
    expect(status).toBe(1);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toContain('getty@\\u001b[2J.service is there');
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

  const hasRepart = spawnSync('systemd-repart', ['--version']).status === 0;
  const missing = hasRepart ? undefined : 'systemd-repart (Debian: systemd)';
  const isSkipped = skipLoudly('an image of systemd-repart', missing);

  it.skipIf(isSkipped)(
    'takes the partition table of systemd-repart, and an ESP of mkfs.vfat',
    () => {
      build('usr-image', 'good', 'lockdown=integrity', '--mount', 'usr');
      const ours = JSON.parse(readFileSync(at('usr-image/partitions.json'), 'utf8'));
      mkdirSync(at('repart.d'));
      for (const [i, type] of ['esp', 'usr', 'usr-verity'].entries()) {
        const { label, sizeBytes } = ours.partitions[i];
        const size = `SizeMinBytes=${sizeBytes}\nSizeMaxBytes=${sizeBytes}\n`;
        writeFileSync(
          at('repart.d', `${i}0-${type}.conf`),
          `[Partition]\nType=${type}\nLabel=${label}\nReadOnly=${i === 0 ? 'no' : 'yes'}\n${size}`,
        );
      }
      const theirs = at('repart_1.raw');
      run(
        ...(['systemd-repart', '--dry-run=no', '--empty=create', '--size=auto'] as const),
        ...[
          '--seed=0867da16-f251-457d-a9e8-c31f9a3c220b',
          `--definitions=${at('repart.d')}`,
          theirs,
        ],
      );
      const esp = at('esp.img');
      run('truncate', '-s', `${ours.partitions[0].sizeBytes}`, esp);
      run('mkfs.vfat', '-i', '1234abcd', '-n', 'ESP', '-F', '32', esp);
      run('mmd', '-i', esp, '::/EFI', '::/EFI/BOOT');
      run('mcopy', '-i', esp, at('usr-image/unsigned.efi'), '::/EFI/BOOT/BOOTX64.EFI');
      const source = readFileSync(at('usr-image/image_1.raw'));
      const image = readFileSync(theirs);
      // Its table, our contents: what it formats itself needs loop devices.
      const table = openTable(image);
      readFileSync(esp).copy(image, table[0]);
      for (const i of [1, 2]) {
        const { offsetBytes, sizeBytes } = ours.partitions[i];
        source.copy(image, table[i], offsetBytes, offsetBytes + sizeBytes);
      }
      writeFileSync(theirs, image);
      const described = teeImage('describe', theirs);
      expect(described).toMatchObject({ status: 0, stderr: '' });
      expect(JSON.parse(described.stdout)).toMatchObject({
        image: 'repart_1.raw',
        rootHash: ours.rootHash,
        espVolumeId: '1234abcd',
        partitions: [{ label: 'esp' }, { label: 'usr' }, { label: 'usr-verity' }],
      });
      expect(teeImage('audit', theirs).status).toBe(0);
    },
  );
});

/** Where the first three partitions of a table begin, in bytes. */
function openTable(image: Buffer): number[] {
  return [0, 1, 2].map((i) => Number(image.readBigUInt64LE(1024 + 128 * i + 32)) * 512);
}
