import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../common/tool-error.js';
import { requireTools } from '../build/host-tools.js';
import { writing } from '../build/output-folder.js';
import { type Accelerator, chooseAccelerator, PROCESSORS } from './accelerator.js';
import { boundToParent } from './bound-to-parent.js';
import type { Firmware } from './firmware.js';
import type { PcrReplay } from './pcr-replay.js';
import { type SoftwareTpm, startSoftwareTpm } from './software-tpm.js';

/** What is booted, and in what. */
export interface MachineOptions {
  /** Path of the raw image; the guest's writes do not reach it. */
  readonly image: string;
  readonly firmware: Firmware;
  /** Whether the firmware keeps its variables from the guest (SMM); needed for Secure Boot. */
  readonly secureBoot: boolean;
  readonly memoryMiB: number;
  /** Default: KVM when it works. */
  readonly accelerator?: Accelerator;
  /** Whether what is typed on the terminal reaches the guest's serial console. */
  readonly interactive?: boolean;
  /** False for a boot entry of the firmware's own variables. Default: the disk first. */
  readonly bootDisk?: boolean;
}

/** A guest that runs. */
export interface Machine {
  readonly accelerator: Accelerator;
  /** Resolves when the guest has powered off or QEMU ended in another way. */
  readonly ended: Promise<void>;
  /** What QEMU said, for error messages. */
  readonly complaints: () => string;
  /** Throws `boot.tpm-log`. */
  followTpm(): Promise<PcrReplay>;
  /** Ends the guest and removes everything temporary. */
  stop(): Promise<void>;
}

const STOP_MS = 2_000;

/**
 * Starts a PC with UEFI firmware, an NVMe disk, a TPM 2.0 and a serial console, as near to an EC2
 * instance as QEMU gets. Throws `host.tool-missing`, `boot.failed`.
 */
export async function startMachine(
  options: MachineOptions,
  onSerial: (bytes: Uint8Array) => void,
): Promise<Machine> {
  const { 'qemu-system-x86_64': qemu } = requireTools(['qemu-system-x86_64', 'swtpm']);
  const accelerator = options.accelerator ?? (await chooseAccelerator(qemu));
  const folder = await writing(tmpdir(), () => mkdtemp(join(tmpdir(), 'tee-image-boot-')));
  const children: ChildProcess[] = [];
  // Also when the process ends by process.exit.
  const cleanUp = (): void => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', cleanUp);
  const stop = async (): Promise<void> => {
    // QEMU gives the terminal back its settings when it is asked to end.
    for (const child of children) await end(child);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    process.off('exit', cleanUp);
  };
  try {
    const tpm = await startSoftwareTpm(folder);
    children.push(tpm.process);
    const variables = join(folder, 'variables.fd');
    const { variables: bytes } = options.firmware;
    await writing(variables, () => writeFile(variables, bytes, { mode: 0o600 }));
    const args = qemuArguments(options, accelerator, variables, tpm);
    const child = spawn(...boundToParent(qemu, args), {
      stdio: [options.interactive === true ? 'inherit' : 'ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: folder },
    });
    children.unshift(child);
    child.stdout?.on('data', onSerial);
    return { accelerator, ...watch(child), followTpm: tpm.follow, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function watch(child: ChildProcess): Pick<Machine, 'ended' | 'complaints'> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4000);
  });
  const ended = new Promise<void>((done, failed) => {
    child.once('error', (cause) =>
      failed(new ToolError('boot.failed', { actual: cause.message, cause })),
    );
    // 'close' comes when the last of the serial console was read.
    child.once('close', (status, signal) => {
      if (status === 0 || signal !== null) done();
      else failed(new ToolError('boot.failed', { actual: said.trim() || `exit status ${status}` }));
    });
  });
  // Whoever waits for it later hears of it all the same.
  ended.catch(() => undefined);
  return { ended, complaints: () => said };
}

async function end(child: ChildProcess): Promise<void> {
  const hasEnded = (): boolean =>
    child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  if (hasEnded()) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  await Promise.race([gone, sleep(STOP_MS, undefined, { ref: false })]);
  if (hasEnded()) return;
  child.kill('SIGKILL');
  await gone;
}

/** The command line of QEMU. */
export function qemuArguments(
  { image, firmware, secureBoot, memoryMiB, bootDisk = true }: MachineOptions,
  accelerator: Accelerator,
  variables: string,
  tpm: Pick<SoftwareTpm, 'socket'>,
): string[] {
  return [
    ...['-machine', `q35,accel=${accelerator}${secureBoot ? ',smm=on' : ''}`],
    ...['-cpu', PROCESSORS[accelerator], '-m', `${memoryMiB}`],
    ...(secureBoot ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${fileName(firmware.code)}`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${fileName(variables)}`],
    ...['-drive', `if=none,id=disk,format=raw,snapshot=on,file=${fileName(image)}`],
    ...['-device', `nvme,drive=disk,serial=tee-image${bootDisk ? ',bootindex=0' : ''}`],
    ...['-chardev', `socket,id=tpm,path=${fileName(tpm.socket)}`],
    ...['-tpmdev', 'emulator,id=tpm0,chardev=tpm', '-device', 'tpm-crb,tpmdev=tpm0'],
    ...['-chardev', 'stdio,id=serial,signal=on', '-serial', 'chardev:serial'],
    ...['-nodefaults', '-nic', 'none', '-vga', 'none', '-display', 'none', '-monitor', 'none'],
    '-no-reboot',
  ];
}

/** QEMU takes commas as separators, and `name:` at the beginning as a protocol. */
function fileName(path: string): string {
  return resolve(path).replaceAll(',', ',,');
}
