import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildUki } from '../../image/test-support/build-uki.js';
import { runCommand } from '../../image/test-support/run-command.js';

export const STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';
export const BOOT_LOADER = '/usr/lib/systemd/boot/efi/systemd-bootx64.efi';

/** A program's output as text. */
export function runText(program: string, args: readonly string[]): string {
  return new TextDecoder().decode(runCommand(program, args));
}

const MIB = 1024 * 1024;
const ESP_MIB = 48;

/** A UKI whose kernel is only another PE file: enough to be measured, not to boot. */
export function prepareUki(output: string, commandLine = 'console=ttyS0'): void {
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  buildUki(
    STUB,
    {
      '.osrel': text('ID="amzn"\nVERSION_ID="2023"\n'),
      '.cmdline': text(commandLine),
      '.initrd': new Uint8Array(4096).fill(7),
      '.linux': readFileSync(BOOT_LOADER),
    },
    output,
  );
}

/** Files on the ESP: path → local file. */
export type EspFiles = Readonly<Record<string, string>>;

/** What KIWI leaves on the ESP with systemd-boot and a UKI of dracut. */
export function kiwiEspFiles(uki: string, loaderConfig: string): EspFiles {
  return {
    'EFI/BOOT/BOOTX64.EFI': BOOT_LOADER,
    'EFI/systemd/systemd-bootx64.efi': BOOT_LOADER,
    'EFI/Linux/kiwi.efi': uki,
    'loader/loader.conf': loaderConfig,
    'os/vmlinuz': uki,
  };
}

/** A raw disk with a GPT, an ESP and a second partition, as KIWI hands it to its scripts. */
export function prepareDisk(folder: string, files: EspFiles, partitionType = 'EF00'): string {
  mkdirSync(folder, { recursive: true });
  const disk = join(folder, 'image.x86_64-1.0.0.raw');
  const esp = join(folder, 'esp.img');
  emptyFile(disk, (ESP_MIB + 16) * MIB);
  const espPartition = ['-n', `1:2048:+${ESP_MIB}M`, '-t', `1:${partitionType}`];
  runCommand('sgdisk', [...espPartition, '-n', '2:0:0', '-t', '2:8300', disk]);
  emptyFile(esp, ESP_MIB * MIB);
  runCommand('mkfs.vfat', ['-F', '32', esp]);
  const folders = new Set(Object.keys(files).flatMap(parents));
  if (folders.size > 0) runCommand('mmd', ['-i', esp, ...folders]);
  for (const [path, file] of Object.entries(files)) {
    runCommand('mcopy', ['-i', esp, file, `::/${path}`]);
  }
  runCommand('dd', [`if=${esp}`, `of=${disk}`, 'bs=1M', 'seek=1', 'conv=notrunc', 'status=none']);
  rmSync(esp);
  return disk;
}

/** Every file on a prepared disk's ESP. */
export function listEsp(disk: string): string[] {
  const lines = runText('mdir', ['-/', '-b', '-i', `${disk}@@1M`, '::/']).split('\n');
  return lines
    .filter((line) => line.startsWith('::/') && !line.endsWith('/'))
    .map((l) => l.slice(3));
}

export function readEsp(disk: string, path: string): Uint8Array {
  const copy = `${disk}.copy`;
  runCommand('mcopy', ['-n', '-i', `${disk}@@1M`, `::/${path}`, copy]);
  return readFileSync(copy);
}

function emptyFile(path: string, size: number): void {
  writeFileSync(path, '');
  truncateSync(path, size);
}

function parents(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, i) => `::/${parts.slice(0, i + 1).join('/')}`);
}
