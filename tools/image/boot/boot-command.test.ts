import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { ARCHITECTURES } from '../disk/architecture.js';
import { encodeGpt } from '../disk/gpt.js';
import { qemuArguments } from './machine.js';

const COMMAND = fileURLToPath(new URL('../bin/tee-image.js', import.meta.url));

describe('tee-image boot', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tee-image-boot-command-'));
  const disk = join(folder, 'disk.raw');
  const bytes = Buffer.alloc(4096);
  bytes.write('EFI PART', 512);
  writeFileSync(disk, bytes);
  const noDisk = join(folder, 'none.raw');
  writeFileSync(noDisk, Buffer.alloc(4096));
  const cut = join(folder, 'cut.raw');
  writeFileSync(cut, bytes.subarray(0, 4000));
  const arm = join(folder, 'arm.raw');
  const { head, tail } = encodeGpt({
    sizeBytes: 4 * 1024 * 1024,
    diskUuid: '8be4df61-93ca-11d2-aa0d-00e098032b8c',
    partitions: [
      {
        ...{ type: ARCHITECTURES.aarch64.types.root, uuid: '8be4df61-93ca-11d2-aa0d-00e098032b8d' },
        ...{ label: 'root', offsetBytes: 1024 * 1024, sizeBytes: 1024 * 1024, attributes: 0n },
      },
    ],
  });
  const gap = Buffer.alloc(4 * 1024 * 1024 - head.length - tail.length);
  writeFileSync(arm, Buffer.concat([head, gap, tail]));
  const bin = join(folder, 'bin');
  spawnSync('mkdir', [bin]);
  symlinkSync(process.execPath, join(bin, 'node'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, 'boot', ...args], {
      encoding: 'utf8',
      env,
    });
    return { status, stdout, stderr };
  }

  it.each<[string, readonly string[], number, string]>([
    ['no image', [], 2, 'missing required argument'],
    ['an image that is not there', [join(folder, 'no.raw')], 2, 'file.unreadable'],
    ['standard input', ['-'], 2, 'usage.option-invalid'],
    ['a file without partition table', [noDisk], 1, 'boot.image-unsupported'],
    ['an image for another processor', [arm], 1, 'one for aarch64'],
    ['half a sector', [cut], 1, 'boot.image-unsupported'],
    ['too little memory', [disk, '--memory', '100'], 2, '256 to'],
    ['a timeout that is no number', [disk, '--timeout', '5s'], 2, 'whole number'],
    ['--manifest without --attest', [disk, '--manifest', 'm.json'], 2, 'usage.option-conflict'],
    ['--attest without a manifest', [disk, '--attest'], 2, 'Name the manifest with --manifest'],
    ['an empty --until', [disk, '--until', ''], 2, 'usage.option-invalid'],
    ['an identity that is not there', [disk, '--secure-boot', folder], 2, 'file.unreadable'],
    ['a folder without firmware', [disk, '--firmware', folder], 1, 'boot.firmware-missing'],
  ])('with %s: one line and the exit status', (_, args, status, text) => {
    const answer = run(args);
    expect(answer.stderr).toContain(text);
    expect(answer.stderr).not.toMatch(/\n\s+at /);
    expect(answer.status).toBe(status);
    expect(answer.stdout).toBe('');
  });

  it('names the packages of programs that are missing', () => {
    const { status, stderr } = run([disk], { PATH: bin });
    expect(stderr).toMatch(/host\.tool-missing.*apt-get install qemu-system-x86 swtpm/);
    expect(status).toBe(1);
  });

  it('gives QEMU names with commas, and no protocol', () => {
    const args = qemuArguments(
      {
        image: 'a,b=c.raw',
        firmware: { code: 'nbd:code', variables: new Uint8Array() },
        secureBoot: true,
        memoryMiB: 512,
      },
      'tcg',
      '/v,1',
      { socket: '/s' },
    );
    const here = process.cwd().replaceAll(',', ',,');
    expect(args).toContain(`if=none,id=disk,format=raw,snapshot=on,file=${here}/a,,b=c.raw`);
    expect(args).toContain(`if=pflash,unit=0,format=raw,readonly=on,file=${here}/nbd:code`);
    expect(args).toContain('if=pflash,unit=1,format=raw,file=/v,,1');
    expect(args).toContain('q35,accel=tcg,smm=on');
  });
});
