import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writing } from '../build/output-folder.js';

/** How QEMU runs the guest's code. */
export type Accelerator = 'kvm' | 'tcg';

const ROM_BYTES = 65_536;
/** mov dx, 0xf4; mov al, 0x2a; out dx, al; hlt: where a processor starts, 16 bytes below the end. */
const RESET_VECTOR = Uint8Array.of(0xba, 0xf4, 0x00, 0xb0, 0x2a, 0xee, 0xf4, 0xeb, 0xfd);
/** What isa-debug-exit makes of 0x2a. */
const EXPECTED_STATUS = (0x2a << 1) | 1;
const PROBE_MS = 2_000;

/** The processor that QEMU shows with each. */
export const PROCESSORS: Readonly<Record<Accelerator, string>> = { kvm: 'host', tcg: 'max' };

/** KVM when guests really run with it, and software emulation otherwise. */
export async function chooseAccelerator(qemu: string): Promise<Accelerator> {
  return (await runsGuests(qemu, 'kvm')) ? 'kvm' : 'tcg';
}

/**
 * Whether a guest's first instructions are executed within two seconds. /dev/kvm may be there, and
 * open, and guests still do not run: on nested machines QEMU fails when it sets up the processor.
 */
export async function runsGuests(qemu: string, accelerator: Accelerator): Promise<boolean> {
  const folder = await writing(tmpdir(), () => mkdtemp(join(tmpdir(), 'tee-image-probe-')));
  try {
    const rom = new Uint8Array(ROM_BYTES).fill(0xf4);
    rom.set(RESET_VECTOR, ROM_BYTES - 16);
    await writing(folder, () => writeFile(join(folder, 'probe.rom'), rom));
    return (await runProbe(qemu, accelerator, join(folder, 'probe.rom'))) === EXPECTED_STATUS;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function runProbe(qemu: string, accelerator: Accelerator, rom: string): Promise<number | null> {
  const child = spawn(
    qemu,
    [
      ...['-machine', `q35,accel=${accelerator}`, '-cpu', PROCESSORS[accelerator], '-m', '16'],
      ...['-bios', rom, '-device', 'isa-debug-exit,iobase=0xf4,iosize=0x01', '-nodefaults'],
      ...['-no-reboot', '-display', 'none', '-serial', 'none', '-monitor', 'none'],
    ],
    { stdio: 'ignore' },
  );
  const timer = setTimeout(() => child.kill('SIGKILL'), PROBE_MS);
  return new Promise((resolve) => {
    const settle = (status: number | null): void => {
      clearTimeout(timer);
      resolve(status);
    };
    child.once('error', () => settle(null));
    child.once('exit', (status) => settle(status));
  });
}
