import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { havePrograms } from '../agent/testing/start-swtpm.js';
import { runCommand } from '../image/test-support/run-command.js';
import {
  BOOT_LOADER,
  type EspFiles,
  kiwiEspFiles,
  listEsp,
  prepareDisk,
  prepareUki,
  readEsp,
  runText,
} from './testing/prepare-disk.js';
import { runScript, type ScriptRun, type StandIns, standInPath } from './testing/run-script.js';

const SCRIPT = fileURLToPath(new URL('recipe/edit_boot_install.sh', import.meta.url));
const TEE_IMAGE = fileURLToPath(new URL('../image/bin/tee-image.js', import.meta.url));
const ready =
  havePrograms('sgdisk', 'mkfs.vfat', 'mcopy', 'objcopy', 'jq', 'partx') && stubIsThere();

function stubIsThere(): boolean {
  if (existsSync(BOOT_LOADER)) return true;
  if (process.env.CI !== undefined) throw new Error(`missing ${BOOT_LOADER}`);
  console.warn(`SKIPPED: missing ${BOOT_LOADER} (scripts/system-packages.txt)`);
  return false;
}

const ZEROS = '0'.repeat(96);
const answer = (pcr4: string, pcr12: string | undefined = ZEROS): string =>
  JSON.stringify({
    Measurements: { HashAlgorithm: 'SHA384', PCR4: pcr4, PCR7: 'b'.repeat(96), PCR12: pcr12 },
  });

describe.skipIf(!ready)('edit_boot_install.sh', () => {
  const folder = mkdtempSync(join(tmpdir(), 'al2023-esp-'));
  const uki = join(folder, 'kiwi.efi');
  const config = join(folder, 'loader.conf');
  let count = 0;

  /** The repository's own tool under the name that an installation gives it. */
  const teeImage = `exec ${process.execPath} ${TEE_IMAGE} "$@"`;
  const nitro = (text: string) => `[ "$1" = --image ] && [ -s "$2" ] && echo '${text}'`;

  beforeAll(() => {
    prepareUki(uki);
    writeFileSync(config, 'timeout 0\n');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  interface Build extends ScriptRun {
    readonly disk: string;
    readonly measurements: string;
  }

  function build(
    files: EspFiles,
    standIns: StandIns,
    { rootDevice = '/dev/loop99p2', partitionType = 'EF00' } = {},
  ): Build {
    count += 1;
    const home = join(folder, String(count));
    const disk = prepareDisk(join(home, 'out'), files, partitionType);
    const measurements = join(home, 'out/pcr_measurements.json');
    writeFileSync(measurements, 'left over from an earlier build');
    const root = join(home, 'root');
    mkdirSync(root);
    const env = { PATH: standInPath(join(home, 'bin'), standIns) };
    return { ...runScript(SCRIPT, [disk, rootDevice], { cwd: root, env }), disk, measurements };
  }

  const kiwi = (): EspFiles => kiwiEspFiles(uki, config);

  it('makes the UKI the only program and measures it', () => {
    const { status, stderr, disk, measurements } = build(kiwi(), { 'tee-image': teeImage });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(listEsp(disk)).toEqual(['EFI/BOOT/BOOTX64.EFI']);
    expect(readEsp(disk, 'EFI/BOOT/BOOTX64.EFI')).toEqual(readFileSync(uki));
    const expected = runText(process.execPath, [TEE_IMAGE, 'measure', uki, '--format', 'aws']);
    expect(readFileSync(measurements, 'utf8')).toBe(expected);
  });

  it('leaves the rest of the disk as it was', () => {
    const { disk } = build(kiwi(), { 'tee-image': teeImage });
    expect(runText('sgdisk', ['-v', disk])).toContain('No problems found');
    expect(runText('sgdisk', ['-p', disk])).toMatch(/ 2 .* 8300/);
  });

  it("stores AWS's own answer as it stands", () => {
    const text = answer('a'.repeat(96));
    const { status, measurements } = build(kiwi(), { 'nitro-tpm-pcr-compute': nitro(text) });
    expect(status).toBe(0);
    expect(readFileSync(measurements, 'utf8')).toBe(`${text}\n`);
  });

  const root = process.getuid?.() === 0;
  if (!root) console.warn('SKIPPED: the mounted ESP; a device node needs root');

  it.skipIf(!root)('edits a mounted ESP in place', () => {
    // KIWI has it mounted; here a folder plays the file system and a node the loop partition.
    const esp = join(folder, 'mounted');
    for (const [path, file] of Object.entries(kiwi())) {
      mkdirSync(join(esp, path, '..'), { recursive: true });
      writeFileSync(join(esp, path), readFileSync(file));
    }
    const device = join(folder, 'loop7p1');
    runCommand('mknod', [device, 'b', '7', '250']);
    const { status, stderr, disk, measurements } = build(
      kiwi(),
      { 'tee-image': teeImage, findmnt: `[ "\${!#}" = ${device} ] && echo ${esp}` },
      { rootDevice: join(folder, 'loop7p2') },
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(runText('find', [esp, '-type', 'f'])).toBe(`${esp}/EFI/BOOT/BOOTX64.EFI\n`);
    expect(readFileSync(join(esp, 'EFI/BOOT/BOOTX64.EFI'))).toEqual(readFileSync(uki));
    expect(listEsp(disk)).toContain('EFI/Linux/kiwi.efi');
    expect(existsSync(measurements)).toBe(true);
  });

  const refusals: readonly [string, () => Build, string][] = [
    [
      'no UKI',
      () => build({ 'EFI/BOOT/BOOTX64.EFI': BOOT_LOADER }, { 'tee-image': teeImage }),
      'no UKI in EFI/Linux',
    ],
    [
      'two UKIs',
      () => build({ ...kiwi(), 'EFI/Linux/old.efi': uki }, { 'tee-image': teeImage }),
      '2 UKIs in EFI/Linux',
    ],
    [
      'a program that is no UKI',
      () => build({ ...kiwi(), 'EFI/Linux/kiwi.efi': BOOT_LOADER }, { 'tee-image': teeImage }),
      'no .linux section',
    ],
    [
      'a file that is no program',
      () => build({ ...kiwi(), 'EFI/Linux/kiwi.efi': config }, { 'tee-image': teeImage }),
      'not a PE file',
    ],
    [
      'another program elsewhere',
      () => build({ ...kiwi(), 'EFI/tools/shell.bin': BOOT_LOADER }, { 'tee-image': teeImage }),
      'other programs on the EFI system partition: EFI/tools/shell.bin',
    ],
    [
      'no ESP',
      () => build(kiwi(), { 'tee-image': teeImage }, { partitionType: '8300' }),
      'no EFI system partition',
    ],
    ['no tool', () => build(kiwi(), {}), 'neither nitro-tpm-pcr-compute nor tee-image'],
    [
      'a tool that fails',
      () => build(kiwi(), { 'nitro-tpm-pcr-compute': 'exit 3' }),
      'nitro-tpm-pcr-compute failed',
    ],
    [
      'a tool that prints no JSON',
      () => build(kiwi(), { 'nitro-tpm-pcr-compute': 'echo fine' }),
      'did not give SHA-384 values',
    ],
    [
      'a tool too old for PCR12',
      () =>
        build(kiwi(), {
          'nitro-tpm-pcr-compute': nitro(answer('a'.repeat(96)).replace(/,"PCR12":"0+"/, '')),
        }),
      'version 1.1.0 or later',
    ],
    [
      'a PCR12 that is not zero',
      () =>
        build(kiwi(), {
          'nitro-tpm-pcr-compute': nitro(answer('a'.repeat(96), 'c'.repeat(96))),
        }),
      'did not give SHA-384 values',
    ],
    [
      'a PCR4 of zeros',
      () => build(kiwi(), { 'nitro-tpm-pcr-compute': nitro(answer(ZEROS)) }),
      'did not give SHA-384 values',
    ],
    [
      'two tools that disagree',
      () =>
        build(kiwi(), {
          'tee-image': teeImage,
          'nitro-tpm-pcr-compute': nitro(answer('a'.repeat(96))),
        }),
      'disagree',
    ],
  ];

  it.each(refusals)('fails the build for %s', (_, run, message) => {
    const { status, stderr, measurements } = run();
    expect(stderr).toContain(message);
    expect(status).toBe(1);
    expect(existsSync(measurements)).toBe(false);
  });

  it('says how it is called', () => {
    const { status, stderr } = runScript(SCRIPT, []);
    expect(stderr).toContain('usage: edit_boot_install.sh <raw disk image> <root device>');
    expect(status).not.toBe(0);
  });
});
