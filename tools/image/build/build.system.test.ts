import { spawnSync } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { authenticodeDigests, bytesSource, readPeImage } from 'tee-verify/measure';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makePe, PE_OFFSETS } from '../../../src/measure/test-support/make-pe.js';
import { readErofs } from '../audit/read-erofs.js';
import { runCommand } from '../test-support/run-command.js';
import { signImage } from '../test-support/sign-image.js';

const COMMAND = fileURLToPath(new URL('../bin/tee-image.js', import.meta.url));
const STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';
const isRoot = process.getuid?.() === 0;
const MIB = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), 'tee-image-build-'));
const at = (...names: readonly string[]): string => join(folder, ...names);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
chmodSync(folder, 0o755);

if (!isRoot) {
  const message = 'SKIPPED: building as another user, and device files; that takes root';
  if (process.env.CI) throw new Error(message);
  console.warn(message);
}

const FILES: Readonly<Record<string, Uint8Array | string>> = {
  'usr/lib/os-release': 'ID=test\nVERSION_ID="1"\n',
  'usr/bin/tool': randomFillSync(new Uint8Array(300_000)),
  'usr/bin/zero': '',
  'etc/hosts': '127.0.0.1 localhost\n',
  'etc/\u00e9t\u00e9 \u{1f600}': 'name\n',
  ...Object.fromEntries(
    Array.from({ length: 150 }, (_, i) => [`var/many/f${i}`, `contents of ${i}\n`.repeat(i * 3)]),
  ),
};

/** The same tree, made in another order, at other times, under another umask. */
function makeTree(root: string, other = false): void {
  const names = Object.keys(FILES);
  mkdirSync(root, { recursive: true });
  for (const name of other ? names.reverse() : names) {
    const file = join(root, name);
    mkdirSync(join(file, '..'), { recursive: true, mode: other ? 0o700 : 0o755 });
    writeFileSync(file, FILES[name] ?? '');
    const isProgram = name.startsWith('usr/bin/');
    chmodSync(file, (isProgram ? 0o755 : 0o644) & (other ? 0o700 : 0o777));
    const seconds = other ? 1_000_000_000 : 1_700_000_000;
    utimesSync(file, seconds, seconds);
  }
  symlinkSync('../usr/lib/os-release', join(root, 'etc/os-release'));
  linkSync(join(root, 'usr/bin/tool'), join(root, 'usr/bin/same'));
}

beforeAll(() => {
  makeTree(at('tree'));
  writeFileSync(at('kernel'), makePe([{ name: '.text', data: new Uint8Array(90_000).fill(0xcc) }]));
  writeFileSync(at('initrd'), randomFillSync(new Uint8Array(100_001)));
  writeFileSync(at('initrd2'), randomFillSync(new Uint8Array(5000)));
});

const inputs = (root = at('tree'), kernel = at('kernel')): string[] => [
  ...['build', '--kernel', kernel, '--initrd', at('initrd'), '--initrd', at('initrd2')],
  ...['--root', root, '--cmdline', 'console=ttyS0 panic=30', '--esp-size', '36'],
];

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function tool(args: readonly string[], wrapper: readonly string[] = [], env = {}): Outcome {
  const [program = '', ...rest] = [...wrapper, process.execPath, COMMAND, ...args];
  const run = spawnSync(program, rest, { encoding: 'utf8', env: { ...process.env, ...env } });
  return { status: run.status, stdout: run.stdout, stderr: run.stderr };
}

function build(out: string, args: readonly string[] = inputs()): string {
  const run = tool([...args, '--out', out]);
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
  return out;
}

const sums = (out: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(out)
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(out, name)))
          .digest('hex'),
      ]),
  );

describe('tee-image build', () => {
  it('makes five files that others find whole', async () => {
    const out = build(at('whole'));
    expect(readdirSync(out).sort()).toEqual([
      ...['image_1.raw', 'manifest.json', 'partitions.json', 'tpm_pcr.json', 'unsigned.efi'],
    ]);
    const raw = join(out, 'image_1.raw');
    expect(Buffer.from(runCommand('sgdisk', ['--verify', raw])).toString()).toMatch(/No problems/);
    const { partitions, rootHash } = JSON.parse(readFileSync(join(out, 'partitions.json'), 'utf8'));
    const bytes = readFileSync(raw);
    for (const { label, offsetBytes, sizeBytes, dataBytes = sizeBytes } of partitions)
      writeFileSync(at(label), bytes.subarray(offsetBytes, offsetBytes + dataBytes));
    runCommand('fsck.vfat', ['-n', at('esp')]);
    runCommand('veritysetup', ['verify', at('root'), at('root-verity'), rootHash]);
    runCommand('fsck.erofs', [at('root')]);
    runCommand('objdump', ['-h', join(out, 'unsigned.efi')]);
    expect(readFileSync(join(out, 'unsigned.efi')).length % 8).toBe(0);
    expect(tool(['verify', raw, '--manifest', join(out, 'manifest.json')])).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(JSON.parse(readFileSync(join(out, 'tpm_pcr.json'), 'utf8'))).toMatchObject({
      Measurements: { HashAlgorithm: 'SHA384', PCR12: '0'.repeat(96) },
    });
  });

  it('puts the whole tree in, with normal modes, and initrds one behind the other', async () => {
    const out = build(at('contents'));
    const { partitions } = JSON.parse(readFileSync(join(out, 'partitions.json'), 'utf8'));
    const { offsetBytes, dataBytes } = partitions[1];
    const bytes = readFileSync(join(out, 'image_1.raw'));
    writeFileSync(at('data'), bytes.subarray(offsetBytes, offsetBytes + dataBytes));
    runCommand('fsck.erofs', [`--extract=${at('extracted')}`, at('data')]);
    runCommand('diff', ['-r', '--no-dereference', at('tree'), at('extracted')]);
    const uki = readFileSync(join(out, 'unsigned.efi'));
    const { sections } = await readPeImage(bytesSource(uki));
    const section = (name: string): Buffer => {
      const found = sections.find((one) => one.name === name);
      const { rawOffset = 0, virtualSize = 0 } = found ?? {};
      return uki.subarray(rawOffset, rawOffset + virtualSize);
    };
    const initrds = [readFileSync(at('initrd')), Buffer.alloc(3), readFileSync(at('initrd2'))];
    expect(section('.initrd').equals(Buffer.concat(initrds))).toBe(true);
    expect(section('.linux').equals(readFileSync(at('kernel')))).toBe(true);
    expect(section('.osrel').toString()).toBe(FILES['usr/lib/os-release']);
    expect(section('.cmdline').toString()).toMatch(
      /^console=ttyS0 panic=30 roothash=[0-9a-f]{64}$/,
    );
  });

  it('makes the same bytes elsewhere, later, for another user with other settings', () => {
    const first = build(at('first'));
    makeTree(at('elsewhere', 'deep', 'copy'), true);
    mkdirSync(at('results'));
    mkdirSync(at('home'));
    writeFileSync(at('home', '.mtoolsrc'), 'mtools_lower_case=1\nMTOOLS_NO_VFAT=1\n');
    const copies = inputs(at('elsewhere', 'deep', 'copy')).map((word) => {
      if (!word.startsWith(at('initrd')) && word !== at('kernel')) return word;
      const copy = at('elsewhere', word.slice(folder.length + 1));
      copyFileSync(word, copy);
      utimesSync(copy, 1, 1);
      return copy;
    });
    let wrapper = ['faketime', '-f', '+400d', 'bash', '-c', 'umask 077; exec "$@"', 'bash'];
    if (isRoot) {
      for (const name of ['elsewhere', 'results', 'home']) {
        runCommand('chown', ['-R', '65534:65534', at(name)]);
      }
      wrapper = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...wrapper];
    }
    const env = {
      ...{ HOME: at('home'), TZ: 'Asia/Kathmandu', LC_ALL: 'C.UTF-8', LANG: 'tr_TR.UTF-8' },
      ...{ NO_FAKE_STAT: '1', SOURCE_DATE_EPOCH: '1234567890', MTOOLSRC: at('home', '.mtoolsrc') },
    };
    const run = tool([...copies, '--out', at('results', 'out')], wrapper, env);
    expect(run.stderr).toBe('');
    expect(sums(at('results', 'out'))).toEqual(sums(first));
    expect(existsSync(at('results', 'out', 'work'))).toBe(false);
  });

  it('makes other bytes for other contents', () => {
    const first = sums(build(at('first-again')));
    cpSync(at('tree'), at('changed'), { recursive: true, verbatimSymlinks: true });
    const hosts = readFileSync(at('changed/etc/hosts'), 'utf8');
    writeFileSync(at('changed/etc/hosts'), hosts.replace('127', '128')); // same size
    const second = sums(build(at('second'), inputs(at('changed'))));
    for (const [name, sum] of Object.entries(second)) expect(sum, name).not.toBe(first[name]);
  });

  it('makes the same file system of an archive as of a folder', () => {
    const first = sums(build(at('of-folder')));
    const normal = ['--owner=0', '--group=0', '--mode=u=rwX,go=rX', '--sort=name', '--format=pax'];
    runCommand('tar', ['-C', at('tree'), ...normal, '-czf', at('tree.tgz'), '.']);
    expect(sums(build(at('of-archive'), inputs(at('tree.tgz'))))).toEqual(first);
  });

  it('keeps owners and modes of an archive, and modes of a folder when asked', async () => {
    mkdirSync(at('owned/home/user'), { recursive: true });
    mkdirSync(at('owned/tmp'));
    chmodSync(at('owned/tmp'), 0o1777);
    writeFileSync(at('owned/home/user/secret'), 'x', { mode: 0o600 });
    const owned = ['--owner=1000', '--group=100', '-cf', at('owned.tar'), 'home', 'tmp'];
    runCommand('tar', ['-C', at('owned'), ...owned]);
    const modes = async (root: string, ...more: readonly string[]): Promise<string[]> => {
      const out = build(at('owned-out'), [...inputs(root), ...more]);
      const { partitions } = JSON.parse(readFileSync(join(out, 'partitions.json'), 'utf8'));
      const { offsetBytes, dataBytes } = partitions[1];
      const bytes = readFileSync(join(out, 'image_1.raw'));
      const data = bytes.subarray(offsetBytes, offsetBytes + dataBytes);
      writeFileSync(at('owned.erofs'), data);
      runCommand('fsck.erofs', [at('owned.erofs')]); // the superblock's checksum, too
      const tree = await readErofs(bytesSource(new Uint8Array(data)));
      return ['/tmp', '/home/user/secret'].map((path) => {
        const { uid, gid, mode = 0 } = tree.entry(path) ?? {};
        return `${uid} ${gid} ${mode.toString(8)}`;
      });
    };
    expect(await modes(at('owned.tar'))).toEqual(['1000 100 1777', '1000 100 600']);
    expect(await modes(at('owned'))).toEqual(['0 0 755', '0 0 644']);
    expect(await modes(at('owned'), '--keep-modes')).toEqual(['0 0 1777', '0 0 600']);
  });

  it('builds for aarch64, for /usr, and of nothing', () => {
    const forArm = (name: string, sections: Parameters<typeof makePe>[0]): string => {
      const patch = (_: Uint8Array, view: DataView): void => {
        view.setUint16(PE_OFFSETS.pe + 4, 0xaa64, true);
        view.setUint32(PE_OFFSETS.optional + 32, 4096, true);
        view.setUint32(PE_OFFSETS.optional + 36, 512, true);
      };
      writeFileSync(at(name), makePe(sections, { patch }));
      return at(name);
    };
    const magic = Buffer.from('#### LoaderInfo: systemd-stub 257.1 ####\0');
    const stub = forArm('arm.stub', [
      { name: '.text', data: new Uint8Array(9) },
      { name: '.sdmagic', data: magic },
    ]);
    const kernel = forArm('arm.kernel', [{ name: '.text', data: new Uint8Array(9) }]);
    mkdirSync(at('empty'));
    const options = ['--arch', 'aarch64', '--stub', stub, '--mount', 'usr', '--name', 'arm'];
    const out = build(at('arm'), [...inputs(at('empty'), kernel), ...options]);
    const description = JSON.parse(readFileSync(join(out, 'partitions.json'), 'utf8'));
    const labels = description.partitions.map(({ label }: { label: string }) => label);
    expect(labels).toEqual(['esp', 'usr', 'usr-verity']);
    expect(description.partitions[1].dataBytes).toBe(4096); // no tree above one block
    const check = ['verify', join(out, 'arm_1.raw'), '--manifest', join(out, 'manifest.json')];
    const run = tool(check);
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toMatch(/only \/EFI\/BOOT\/BOOTAA64\.EFI/);
    expect(run.stdout).toMatch(/command line: usrhash=[0-9a-f]{64}/);
    const uki = readFileSync(join(out, 'unsigned.efi')).toString('latin1');
    expect(uki).toContain('ID=arm\nNAME="arm"\nVERSION_ID="1"');
  });

  it('makes UKIs whose digest stays when they are signed, also on a stub with an image base', async () => {
    const stub = readFileSync(STUB);
    const optional = stub.readUInt32LE(60) + 24;
    stub.writeBigUInt64LE(0x1_4df3_5000n, optional + 24);
    writeFileSync(at('based.stub'), stub);
    expect(PE_OFFSETS.optional).not.toBe(optional); // a real stub, not one of our tests
    for (const file of [STUB, at('based.stub')]) {
      const out = build(at('to-sign'), [...inputs(), '--stub', file]);
      signImage(join(out, 'unsigned.efi'), at('signed.efi'));
      const [unsigned, signed] = [join(out, 'unsigned.efi'), at('signed.efi')].map(
        (path) => new Uint8Array(readFileSync(path)),
      ) as [Uint8Array, Uint8Array];
      expect(signed.length).toBeGreaterThan(unsigned.length);
      const [before, after] = [
        await authenticodeDigests(bytesSource(unsigned), ['SHA-384']),
        await authenticodeDigests(bytesSource(signed), ['SHA-384']),
      ];
      expect(after).toEqual(before);
    }
  });
});

describe('a build that fails', () => {
  let old: Record<string, string>;
  beforeAll(() => {
    mkdirSync(at('kept'));
    old = sums(build(at('kept', 'out')));
    cpSync(at('tree'), at('bad'), { recursive: true, verbatimSymlinks: true });
  });

  function expectFailure(code: string, run: Outcome, status = 1): void {
    expect(run.stderr).toMatch(new RegExp(`^tee-image: ${code.replace('.', '\\.')}: [^\n]+\n$`));
    expect(run.stdout).toBe('');
    expect(run.status).toBe(status);
    expect(readdirSync(at('kept'))).toEqual(['out']);
    expect(sums(at('kept', 'out'))).toEqual(old);
  }
  const out = ['--out', at('kept', 'out')];

  it('leaves the old output when a program is missing, and names its packages', () => {
    const run = tool([...inputs(), ...out], [], { PATH: '/nowhere' });
    expectFailure('host.tool-missing', run);
    expect(run.stderr).toMatch(/mkfs\.erofs.*apt-get install .*erofs-utils.*nix-shell -p/);
  });

  it.each([1, 200, 37_000, 45_000])('leaves it when files may have %i KiB only', (kibibytes) => {
    const limit = ['bash', '-c', `ulimit -f ${kibibytes}; exec "$@"`, 'bash'];
    cpSync(at('tree'), at('large'), { recursive: true, verbatimSymlinks: true });
    writeFileSync(at('large/blob'), randomFillSync(new Uint8Array(12 * MIB)));
    expectFailure('file.unwritable', tool([...inputs(at('large')), ...out], limit), 2);
  });

  it.skipIf(!isRoot)('leaves it when the disk is full', () => {
    mkdirSync(at('disk'));
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', at('disk')]);
    if (mount.status !== 0) {
      console.warn('SKIPPED: a full disk; mounting is not permitted here');
      return;
    }
    try {
      writeFileSync(at('disk/mark'), 'x');
      const run = tool([...inputs(at('large')), '--out', at('disk/out')]);
      expect(run.stderr).toMatch(/^tee-image: file\.unwritable: [^\n]+\n$/);
      expect(readdirSync(at('disk'))).toEqual(['mark']);
    } finally {
      spawnSync('umount', [at('disk')]);
    }
  });

  it.skipIf(!isRoot)('leaves it when the tree cannot be read', () => {
    writeFileSync(at('bad/private'), 'x', { mode: 0o600 });
    runCommand('chown', ['-R', '65534', at('kept')]);
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    expectFailure('file.unreadable', tool([...inputs(at('bad')), ...out], nobody), 2);
    chmodSync(at('bad/var/many'), 0o700);
    rmSync(at('bad/private'));
    expectFailure('file.unreadable', tool([...inputs(at('bad')), ...out], nobody), 2);
    chmodSync(at('bad/var/many'), 0o755);
  });

  it('leaves it when the UKI does not fit', () => {
    writeFileSync(at('huge'), new Uint8Array(40 * MIB));
    expectFailure('esp.too-small', tool([...inputs(), '--initrd', at('huge'), ...out]));
  });

  it('leaves it when a program is setuid, unless it is allowed', () => {
    const program = at('bad/usr/bin/zero');
    chmodSync(program, 0o4755);
    expectFailure('root.setuid', tool([...inputs(at('bad')), ...out]));
    const allowed = ['--allow-setuid', '/usr/bin/zero', '--out', at('allowed')];
    expect(tool([...inputs(at('bad')), ...allowed]).status).toBe(0);
    chmodSync(program, 0o755);
  });

  it.skipIf(!isRoot)('leaves it when there is a device, unless it is allowed; never a pipe', () => {
    runCommand('mknod', [at('bad/null'), 'c', '1', '3']);
    expectFailure('root.device', tool([...inputs(at('bad')), ...out]));
    const allowed = ['--allow-device', '/null', '--out', at('allowed')];
    expect(tool([...inputs(at('bad')), ...allowed]).status).toBe(0);
    // From an archive, where only an empty file stands for it meanwhile, and by anyone.
    runCommand('tar', ['-C', at('bad'), '-cf', at('device.tar'), 'null', 'usr']);
    const built = build(at('device'), [...inputs(at('device.tar')), '--allow-device', 'null']);
    const { partitions } = JSON.parse(readFileSync(join(built, 'partitions.json'), 'utf8'));
    const { offsetBytes, dataBytes } = partitions[1];
    const bytes = readFileSync(join(built, 'image_1.raw'));
    writeFileSync(at('device.erofs'), bytes.subarray(offsetBytes, offsetBytes + dataBytes));
    runCommand('fsck.erofs', [`--extract=${at('device-out')}`, at('device.erofs')]);
    const stat = runCommand('stat', ['-c', '%F %t:%T', at('device-out/null')]);
    expect(Buffer.from(stat).toString()).toBe('character special file 1:3\n');
    rmSync(at('bad/null'));
    runCommand('mkfifo', [at('bad/pipe')]);
    expectFailure('root.unsupported-file', tool([...inputs(at('bad')), ...out]));
    rmSync(at('bad/pipe'));
  });

  it.each([
    ['uki-build.command-line', ['--cmdline', 'a roothash=1'], 1],
    ['uki-build.command-line', ['--cmdline', 'a\nb'], 1],
    ['uki-build.architecture', ['--arch', 'aarch64', '--stub', STUB, '--esp-size', '40'], 1],
    ['usage.option-invalid', ['--name', '../x'], 2],
    ['usage.option-invalid', ['--esp-size', '9'], 2],
    ['file.unreadable', ['--stub', '/nowhere'], 2],
    ['file.unreadable', ['--root', '/nowhere'], 2],
    ['tar.malformed', ['--root', STUB], 1],
    ['pe.not-pe', ['--stub', COMMAND], 1],
    ['pe.not-pe', ['--kernel', COMMAND], 1],
  ])('leaves it at %s: %j', (code, args, status) => {
    expectFailure(code, tool([...inputs(), ...args, ...out]), status);
  });

  it('does not replace a folder that holds something else', () => {
    mkdirSync(at('foreign'));
    writeFileSync(at('foreign/notes.txt'), 'mine');
    const run = tool([...inputs(), '--out', at('foreign')]);
    expect(run.stderr).toMatch(/^tee-image: output\.not-replaceable: .*notes\.txt/);
    expect(readFileSync(at('foreign/notes.txt'), 'utf8')).toBe('mine');
    // Images that somebody collected, or folders with the names of files, are no output either.
    mkdirSync(at('images'));
    writeFileSync(at('images/payments_6.raw'), 'mine');
    const [one, two] = ['payments_6.raw without', '2 images'].map((actual, i) => {
      if (i === 1) {
        writeFileSync(at('images/payments_7.raw'), 'mine');
        writeFileSync(at('images/partitions.json'), '{}');
      }
      return [tool([...inputs(), '--out', at('images')]).stderr, actual];
    });
    for (const [said, actual] of [one ?? [], two ?? []]) {
      expect(said).toMatch(/^tee-image: output\.not-replaceable: /);
      expect(said).toContain(actual);
    }
    expect(readdirSync(at('images'))).toHaveLength(3);
    mkdirSync(at('folders/unsigned.efi'), { recursive: true });
    expect(tool([...inputs(), '--out', at('folders')]).stderr).toMatch(/not-replaceable/);
  });

  it('says of a name that mkfs.erofs cannot store which one it is', () => {
    mkdirSync(at('long'));
    writeFileSync(at('long', 'n'.repeat(255)), '');
    const run = tool([...inputs(at('long')), '--out', at('long-out')]);
    // Newer ones can.
    if (run.status !== 0)
      expect(run.stderr).toMatch(/^tee-image: host\.tool-failed: .*254 bytes.*\/n{255}/);
  });

  it('makes no output inside of the tree', () => {
    symlinkSync(at('tree'), at('link'));
    for (const place of [at('tree'), at('tree/out'), at('tree/usr/out'), at('link/out')]) {
      const run = tool([...inputs(), '--out', place]);
      expect(run.stderr).toMatch(/^tee-image: usage\.option-conflict: [^\n]+\n$/);
      expect(run.status).toBe(2);
    }
    expect(readdirSync(at('tree')).sort()).toEqual(['etc', 'usr', 'var']);
  });

  it('leaves it when it is interrupted', () => {
    // As soon as it has a folder to make things in.
    const wait = `until ls -d '${at('kept')}'/.out.* >/dev/null 2>&1; do sleep 0.01; done`;
    const script = `"$@" & ${wait}; kill -TERM $!; wait $!`;
    const run = tool([...inputs(at('large')), ...out], ['bash', '-c', script, 'bash']);
    expect(run.status).toBe(130);
    expect(readdirSync(at('kept'))).toEqual(['out']);
    expect(sums(at('kept', 'out'))).toEqual(old);
  });
});
