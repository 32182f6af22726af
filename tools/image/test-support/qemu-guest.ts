import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Firmware } from '../boot/firmware.js';
import { addFirmwareVariables } from '../boot/firmware-variables.js';
import { startMachine } from '../boot/machine.js';
import { bootEntry } from './boot-entry.js';
import { runCommand } from './run-command.js';

/** What the guest said about itself on the serial console. */
export interface GuestReport {
  /** SHA-384 PCRs by index, lower-case hex. */
  readonly pcrs: ReadonlyMap<number, string>;
  readonly eventLog: Uint8Array;
  /** The kernel's command line as it came to be. */
  readonly commandLine: string;
  /** The PCRs as they were followed from outside. */
  readonly followed: ReadonlyMap<number, string>;
}

/** How to boot. */
export interface GuestOptions {
  /** Files of the ESP: path below its root → path of the file. */
  readonly files: Readonly<Record<string, string>>;
  /** Whether the firmware has the snakeoil keys enrolled. */
  readonly secureBoot?: boolean;
  /** Load options of the boot entry: a command line from outside. */
  readonly loadOptions?: string;
}

const OVMF = '/usr/share/OVMF';
const TIMEOUT_MS = 150_000;
const PARTITION_GUID = '5a1b6c8e-0000-4000-8000-7ee7ee7ee7ee';
const SECTORS = 131_072 - 2048 * 2;

/**
 * Boots a disk in QEMU, by software emulation (KVM does not work on small nested machines), with
 * OVMF and a fresh swtpm, and gives what the guest reports. For tests; the ESP must hold a UKI with
 * the initrd of guest-initrd.ts.
 */
export async function bootGuest(options: GuestOptions): Promise<GuestReport> {
  const folder = mkdtempSync(join(tmpdir(), 'tee-image-guest-'));
  try {
    const disk = join(folder, 'disk.raw');
    makeDisk(disk, options.files);
    return await bootDisk(disk, options);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function bootDisk(image: string, options: GuestOptions): Promise<GuestReport> {
  const { secureBoot = false, loadOptions } = options;
  let console = '';
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const machine = await startMachine(
    {
      ...{ image, secureBoot, memoryMiB: 512, accelerator: 'tcg' },
      firmware: firmwareFor(secureBoot, loadOptions),
      bootDisk: loadOptions === undefined,
    },
    (bytes) => {
      console += Buffer.from(bytes).toString('latin1');
      if (console.includes('TEE-END')) finish();
    },
  );
  try {
    const timer = setTimeout(finish, TIMEOUT_MS);
    await Promise.race([machine.ended, finished]);
    clearTimeout(timer);
    if (!console.includes('TEE-END'))
      throw new Error(
        `the guest did not report; it said: ${console.slice(-3000)}${machine.complaints()}`,
      );
    return { ...parseReport(console), followed: (await machine.followTpm()).pcrs };
  } finally {
    await machine.stop();
  }
}

function firmwareFor(secureBoot: boolean, loadOptions: string | undefined): Firmware {
  const variables = readFileSync(`${OVMF}/OVMF_VARS_4M${secureBoot ? '.snakeoil' : ''}.fd`);
  return {
    code: `${OVMF}/OVMF_CODE_4M${secureBoot ? '.secboot' : ''}.fd`,
    variables:
      loadOptions === undefined
        ? variables
        : addFirmwareVariables(variables, bootEntry(partitionNode(), loadOptions)),
  };
}

function makeDisk(disk: string, files: Readonly<Record<string, string>>): void {
  writeFileSync(disk, '');
  truncateSync(disk, 131_072 * 512);
  runCommand('sgdisk', [
    ...['--clear', '--disk-guid=11111111-2222-4333-8444-555555555555'],
    ...[`--new=1:2048:${2048 + SECTORS - 1}`, '--typecode=1:ef00', '--change-name=1:ESP'],
    ...[`--partition-guid=1:${PARTITION_GUID}`, disk],
  ]);
  runCommand('mkfs.vfat', [
    '--invariant',
    '--offset=2048',
    '-F',
    '32',
    '-s',
    '1',
    disk,
    `${SECTORS / 2}`,
  ]);
  const image = `${disk}@@1M`;
  const made = new Set<string>();
  for (const [path, file] of Object.entries(files)) {
    const parts = path.split('/').slice(0, -1);
    for (const [i] of parts.entries()) {
      const parent = parts.slice(0, i + 1).join('/');
      if (!made.has(parent)) runCommand('mmd', ['-i', image, `::/${parent}`]);
      made.add(parent);
    }
    runCommand('mcopy', ['-i', image, file, `::/${path}`]);
  }
}

function parseReport(text: string): Omit<GuestReport, 'followed'> {
  const report = text.slice(text.lastIndexOf('TEE-BEGIN'));
  const lines = (word: string): string[] =>
    [...report.matchAll(new RegExp(`^${word} ([^\\r\\n]*)`, 'gm'))].map((match) => match[1] ?? '');
  const base64 = (value = ''): Uint8Array => new Uint8Array(Buffer.from(value, 'base64'));
  const pairs = (word: string): [string, string][] =>
    lines(word).map((line) => {
      const [first = '', second = ''] = line.split(' ');
      return [first, second];
    });
  return {
    pcrs: new Map(pairs('PCR').map(([index, hex]) => [Number(index), hex.toLowerCase()])),
    eventLog: base64(lines('LOG')[0]),
    commandLine: lines('CMDLINE')[0] ?? '',
  };
}

/** HD(1,GPT,…): the device path node of the ESP. */
function partitionNode(): Uint8Array {
  const node = Buffer.alloc(42);
  node.writeUInt8(0x04, 0);
  node.writeUInt8(0x01, 1);
  node.writeUInt16LE(42, 2);
  node.writeUInt32LE(1, 4);
  node.writeBigUInt64LE(2048n, 8);
  node.writeBigUInt64LE(BigInt(SECTORS), 16);
  const [a = '', b = '', c = '', ...rest] = PARTITION_GUID.split('-');
  node.writeUInt32LE(Number.parseInt(a, 16), 24);
  node.writeUInt16LE(Number.parseInt(b, 16), 28);
  node.writeUInt16LE(Number.parseInt(c, 16), 30);
  Buffer.from(rest.join(''), 'hex').copy(node, 32);
  node.writeUInt8(2, 40);
  node.writeUInt8(2, 41);
  return node;
}
