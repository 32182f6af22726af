import { type ChildProcess, spawn } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withBootEntry } from './ovmf-variables.js';
import { runCommand } from './run-command.js';

/** What the guest said about itself on the serial console. */
export interface GuestReport {
  /** SHA-384 PCRs by index, lower-case hex. */
  readonly pcrs: ReadonlyMap<number, string>;
  readonly eventLog: Uint8Array;
  /** The kernel's command line as it came to be. */
  readonly commandLine: string;
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
 * OVMF and a fresh swtpm that has a SHA-384 bank, and gives what the guest reports. For tests; the
 * ESP must hold a UKI with the initrd of guest-initrd.ts.
 */
export async function bootGuest(options: GuestOptions): Promise<GuestReport> {
  const folder = mkdtempSync(join(tmpdir(), 'tee-image-boot-'));
  const processes: ChildProcess[] = [];
  try {
    const disk = join(folder, 'disk.raw');
    makeDisk(disk, options.files);
    const socket = join(folder, 'tpm.sock');
    processes.push(startTpm(folder, socket));
    const qemu = spawn('qemu-system-x86_64', qemuArguments(folder, disk, socket, options), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    processes.push(qemu);
    return parseReport(await readConsole(qemu));
  } finally {
    for (const child of processes) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
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

function startTpm(folder: string, socket: string): ChildProcess {
  const state = join(folder, 'tpm');
  mkdirSync(state);
  runCommand('swtpm_setup', [
    ...['--tpm2', '--tpm-state', state, '--pcr-banks', 'sha256,sha384', '--overwrite'],
  ]);
  return spawn(
    'swtpm',
    ['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--ctrl', `type=unixio,path=${socket}`],
    { stdio: 'ignore' },
  );
}

function qemuArguments(
  folder: string,
  disk: string,
  socket: string,
  { secureBoot = false, loadOptions }: GuestOptions,
): string[] {
  const vars = join(folder, 'vars.fd');
  copyFileSync(`${OVMF}/OVMF_VARS_4M${secureBoot ? '.snakeoil' : ''}.fd`, vars);
  if (loadOptions !== undefined)
    writeFileSync(vars, withBootEntry(readFileSync(vars), partitionNode(), loadOptions));
  const code = `${OVMF}/OVMF_CODE_4M${secureBoot ? '.secboot' : ''}.fd`;
  const nvme = 'nvme,drive=disk,serial=tee';
  return [
    ...['-machine', `q35,accel=tcg${secureBoot ? ',smm=on' : ''}`, '-cpu', 'max', '-m', '512'],
    ...(secureBoot ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${code}`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${vars}`],
    ...['-drive', `if=none,id=disk,format=raw,file=${disk}`],
    ...['-device', loadOptions === undefined ? `${nvme},bootindex=0` : nvme],
    ...['-chardev', `socket,id=tpm,path=${socket}`, '-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
    ...['-device', 'tpm-crb,tpmdev=tpm0', '-nic', 'none', '-vga', 'none', '-display', 'none'],
    ...['-serial', 'stdio', '-monitor', 'none', '-no-reboot'],
  ];
}

/** Reads the serial console up to the end of the report. */
function readConsole(qemu: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    let errors = '';
    const timer = setTimeout(() => finish(), TIMEOUT_MS);
    const finish = (): void => {
      clearTimeout(timer);
      if (text.includes('TEE-END')) resolve(text);
      else reject(new Error(`the guest did not report; it said: ${text.slice(-3000)}${errors}`));
    };
    qemu.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.includes('TEE-END')) finish();
    });
    qemu.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    qemu.on('error', reject);
    qemu.on('exit', finish);
  });
}

function parseReport(text: string): GuestReport {
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
