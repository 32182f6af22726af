import { access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { ReferenceManifest } from 'tee-verify/manifest';
import { printable } from 'tee-verify/measure';
import { EXIT, onInterrupt, writeOutput } from '../../common/command-line.js';
import { ToolError } from '../../common/tool-error.js';
import { readPlainManifest } from '../read-plain-manifest.js';
import { type BootOutcome, bootImage } from './boot-image.js';
import { comparePcrs, formatComparison, type PcrComparison } from './compare-pcrs.js';

interface BootFlags {
  readonly secureBoot?: string;
  readonly attest?: true;
  readonly manifest?: string;
  readonly memory: number;
  readonly timeout?: number;
  readonly until?: string;
  readonly settle: number;
  readonly firmware?: string;
}

/** Long enough for a boot under software emulation. */
const ATTEST_TIMEOUT_SECONDS = 300;

/** `tee-image boot`: boots an image in QEMU. */
export function bootCommand(): Command {
  return new Command('boot')
    .description('boot an image in QEMU with a software TPM; the image stays as it is')
    .argument('<raw>', 'the raw image')
    .option('--secure-boot <dir>', 'enrol this identity (tee-image keys new): Secure Boot is on')
    .option('--attest', "compare the guest's PCRs with the manifest, then stop")
    .option('--manifest <file>', 'the manifest (default: manifest.json beside the image)')
    .option('--memory <MiB>', 'memory of the guest', whole(256, 1_048_576), 1024)
    .option(
      '--timeout <seconds>',
      'stop then (default: never; with --attest 300)',
      whole(1, 86_400),
    )
    .option('--until <text>', 'stop when this text came on the serial console')
    .option(
      '--settle <seconds>',
      'with --attest: how long PCRs must stay the same once the system runs',
      whole(1, 3600),
      10,
    )
    .option('--firmware <dir>', 'folder with OVMF (OVMF_CODE*.fd, OVMF_VARS*.fd)')
    .addHelpText(
      'after',
      `
The machine: UEFI firmware (OVMF), the image as NVMe disk, a fresh TPM 2.0 (swtpm), the serial
console on this terminal, no network. KVM is used when a guest really runs with it, else software
emulation. Writes of the guest go to a temporary overlay. Ctrl-C ends it.

--attest asks nothing of the guest: the TPM logs what it is told, and the PCRs are computed from
that. The guest counts as booted when --until was seen; without it, when its PCRs stayed the same
for --settle seconds after the firmware handed over; and when it powered off.

Examples:
  tee-image boot out/payments_1.raw
  tee-image boot out/payments_1.raw --attest --until 'Startup finished'
  tee-image boot signed/payments_1.signed.raw --secure-boot payments-keys --attest
  tee-image boot out/payments_1.raw --until 'login:' --timeout 120

Exit status: 0 booted (with --attest: the PCRs are the manifest's), 1 it did not, another manifest,
or --timeout came before --until, 2 usage or unreadable file, 130 interrupted.
Programs: qemu-system-x86_64, swtpm. Firmware: ovmf (Debian), OVMFFull.fd (Nix).`,
    )
    .action(runBoot);
}

async function runBoot(image: string, flags: BootFlags): Promise<void> {
  const manifest = await findManifest(image, flags);
  const timeoutSeconds =
    flags.timeout ?? (manifest === undefined ? undefined : ATTEST_TIMEOUT_SECONDS);
  const controller = new AbortController();
  const stopListening = onInterrupt(() => controller.abort());
  try {
    const outcome = await bootImage(image, {
      memoryMiB: flags.memory,
      interactive: manifest === undefined && process.stdin.isTTY === true,
      signal: controller.signal,
      onSerial: (bytes) => void process.stdout.write(bytes),
      onStart: (accelerator) =>
        void process.stderr.write(
          `booting with ${accelerator === 'kvm' ? 'KVM' : 'software emulation (KVM does not work here)'}\n`,
        ),
      ...(flags.secureBoot === undefined ? {} : { identity: flags.secureBoot }),
      ...(flags.firmware === undefined ? {} : { firmware: flags.firmware }),
      ...(flags.until === undefined ? {} : { until: flags.until }),
      ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      ...(manifest === undefined || flags.until !== undefined
        ? {}
        : { settleSeconds: flags.settle }),
    });
    await conclude(outcome, flags, manifest);
  } finally {
    stopListening();
  }
}

async function conclude(
  outcome: BootOutcome,
  { until, timeout }: BootFlags,
  manifest: ReferenceManifest | undefined,
): Promise<void> {
  if (outcome.end === 'interrupted') {
    process.exitCode = EXIT.interrupted;
    return;
  }
  const isLate = outcome.end === 'timeout' && (until !== undefined || manifest !== undefined);
  if (manifest !== undefined) {
    const comparison = comparePcrs(outcome.pcrs, manifest);
    await writeOutput(undefined, `\n${formatComparison(comparison, outcome.pcrsAtHandOver)}`);
    if (outcome.pcrsAtHandOver === undefined)
      throw new ToolError('boot.pcrs-differ', {
        expected: 'an operating system to take over from the firmware',
        actual: 'none did',
        hint: 'See the serial console; with Secure Boot, firmware refuses what its db does not allow.',
      });
    if (!comparison.matches)
      throw new ToolError('boot.pcrs-differ', {
        expected: `the PCRs of a set that is not revoked (nearest: ${printable(comparison.label)})`,
        actual: describeDifference(comparison),
      });
  }
  if (isLate)
    throw new ToolError('boot.timeout', {
      expected:
        until === undefined ? 'PCRs that stay the same' : `${JSON.stringify(until)} on the console`,
      actual: `not within ${timeout ?? ATTEST_TIMEOUT_SECONDS} s`,
    });
  if (until !== undefined && outcome.end === 'powered-off')
    throw new ToolError('boot.failed', {
      expected: `${JSON.stringify(until)} on the console`,
      actual: 'the guest ended without it',
      hint: 'See the serial console.',
    });
}

function describeDifference({ pcrs }: PcrComparison): string {
  const names = pcrs
    .filter(({ guest, expected }) => guest !== expected)
    .map(({ pcr }) => `PCR${pcr}`);
  return names.length === 0 ? 'a set that is revoked' : `another ${names.join(', ')}`;
}

async function findManifest(
  image: string,
  flags: BootFlags,
): Promise<ReferenceManifest | undefined> {
  if (flags.attest === undefined) {
    if (flags.manifest !== undefined)
      throw new ToolError('usage.option-conflict', {
        expected: '--attest with --manifest',
        actual: '--manifest alone',
      });
    return undefined;
  }
  const path = flags.manifest ?? join(dirname(image), 'manifest.json');
  if (flags.manifest === undefined)
    await access(path).catch((cause: unknown) => {
      throw new ToolError('file.unreadable', {
        actual: path,
        hint: 'Name the manifest with --manifest.',
        cause,
      });
    });
  return readPlainManifest(path);
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d{1,7}$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}`);
    return value;
  };
}
