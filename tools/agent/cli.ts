import { Command, Option } from 'commander';
import { decodeHex, encodeHex } from 'tee-verify/bytes';
import {
  EXIT,
  onInterrupt,
  ProgressLine,
  readInput,
  reportError,
  tolerateClosedPipe,
  writeOutput,
} from '../common/command-line.js';
import { ToolError } from '../common/tool-error.js';
import packageJson from '../package.json' with { type: 'json' };
import { attest, MAX_DOCUMENT_FIELD_BYTES, MAX_EVENT_LOG_BYTES } from './attest.js';
import { type DoctorStep, runDoctor } from './doctor.js';
import { endNow, letGoOfDevices } from './end-process.js';
import { readOwnPcrs } from './own-pcrs.js';

const PROGRAM = 'tee-attest';
const DEFAULT_EVENT_LOG = '/sys/kernel/security/tpm0/binary_bios_measurements';

const HELP = `
Files: "-" reads standard input (one of them at most). Nothing is kept in the TPM.

Examples:
  tee-attest --nonce 8a54c1…                           a bundle, to standard output
  tee-attest --nonce @challenge.bin --out bundle.json  the challenge from a file, as bytes
  tee-attest --nonce 8a54c1… --event-log               with the boot event log
  tee-attest --nonce 8a54c1… --format document --public-key kms.der --out document.bin
                                                       a bare document for KMS
  tee-attest --nonce 8a54c1… --tpm tcp:127.0.0.1:2321  with tee-simulator or another TPM
  tee-attest doctor                                    can this machine attest?
  tee-attest pcrs                                      what does this machine's TPM hold?

Exit status: 0 done, 1 the attestation failed, 2 wrong usage or a file that cannot be read or
written, 130 interrupted (what was created in the TPM is removed first), 137 when a device never
answered and the kernel still holds it (see the message).`;

interface AttestFlags {
  readonly nonce?: string;
  readonly userData?: string;
  readonly tpm?: string;
  readonly hierarchy: 'endorsement' | 'owner';
  readonly session: 'hmac' | 'password';
  readonly eventLog?: string | true;
  readonly format: 'bundle' | 'document';
  readonly publicKey?: string;
  readonly out?: string;
}

interface DoctorFlags {
  readonly tpm?: string;
  readonly eventLog: string;
}

const TPM_OPTION: readonly [string, string] = [
  '--tpm <address>',
  'a device, tcp:host:port or unix:path (default: /dev/tpmrm0, else /dev/tpm0)',
];

/** Runs the command line and gives its exit status. */
export async function main(args: readonly string[]): Promise<number> {
  let status: number = EXIT.ok;
  const program = new Command(PROGRAM)
    .description('Makes an attestation of this EC2 instance with its NitroTPM.')
    .version(packageJson.version)
    .option(
      '--nonce <hex|@file>',
      "the relying party's challenge: 1 to 64 bytes (1 to 1024 in a document)",
    )
    .option('--user-data <file>', 'bytes to put into the document, at most 1024')
    .option(...TPM_OPTION)
    .addOption(
      new Option('--hierarchy <name>', 'where the attestation key lives')
        .choices(['endorsement', 'owner'])
        .default('endorsement'),
    )
    .addOption(
      new Option('--session <kind>', 'how commands are authorised')
        .choices(['hmac', 'password'])
        .default('hmac'),
    )
    .option(
      '--event-log [path]',
      `put the boot event log into the bundle (default: ${DEFAULT_EVENT_LOG})`,
    )
    .addOption(
      new Option('--format <form>', 'a bundle with a TPM quote, or the bare COSE document')
        .choices(['bundle', 'document'])
        .default('bundle'),
    )
    .option('--public-key <der>', "a recipient's key, e.g. for KMS (only with --format document)")
    .option('--out <file>', 'write to a file instead of standard output')
    .addHelpText('after', HELP)
    .showHelpAfterError(`(run "${PROGRAM} --help" for help)`)
    .enablePositionalOptions()
    .exitOverride()
    .action(async (flags: AttestFlags) => {
      await runAttest(flags);
    });
  program
    .command('doctor')
    .description('say step by step whether this machine can attest, and what to do about it')
    .option(...TPM_OPTION)
    .option('--event-log <path>', 'the boot event log', DEFAULT_EVENT_LOG)
    .addHelpText(
      'after',
      '\nExit status: 0 it can, 1 it cannot (an unreadable event log is only a warning).',
    )
    .exitOverride()
    .action(async (flags: DoctorFlags) => {
      status = await doctor(flags);
    });
  program
    .command('pcrs')
    .description('print the 24 SHA-384 PCRs of this machine as JSON; nothing signs them')
    .option(...TPM_OPTION)
    .addHelpText(
      'after',
      '\nAny TPM 2.0 will do. Compare them with a manifest, or explain them:\n' +
        '  tee-attest pcrs > pcrs.json\n' +
        '  tee-image eventlog /sys/kernel/security/tpm0/binary_bios_measurements --pcrs pcrs.json\n' +
        '\nExit status: 0 printed, 1 the TPM did not give them.',
    )
    .exitOverride()
    .action(printPcrs);
  try {
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    return reportError(PROGRAM, error);
  }
}

async function runAttest(flags: AttestFlags): Promise<void> {
  checkStandardInput(flags);
  const nonce = await readNonce(flags.nonce);
  const [userData, publicKey] = [
    await readOptional(flags.userData, MAX_DOCUMENT_FIELD_BYTES),
    await readOptional(flags.publicKey, MAX_DOCUMENT_FIELD_BYTES),
  ];
  const eventLogPath = flags.eventLog === true ? DEFAULT_EVENT_LOG : flags.eventLog;
  const eventLog = await readOptional(eventLogPath, MAX_EVENT_LOG_BYTES);
  const toTerminal = flags.out === undefined && process.stdout.isTTY === true;
  if (flags.format === 'document' && toTerminal)
    throw new ToolError('usage.option-conflict', {
      expected: '--out <file> or a pipe for the bytes of a document',
      actual: 'a terminal',
    });
  const progress = new ProgressLine();
  const controller = new AbortController();
  const stopListening = onInterrupt(() => controller.abort(), endNow);
  try {
    const { bundle, document } = await attest({
      nonce,
      userData,
      publicKey,
      eventLog,
      tpm: flags.tpm,
      hierarchy: flags.hierarchy,
      session: flags.session,
      format: flags.format,
      signal: controller.signal,
      onProgress: (doing) => progress.show(doing),
    });
    progress.clear();
    // A pipe may wait for its reader for ever: from here on a signal simply ends the process.
    stopListening();
    await writeOutput(
      flags.out,
      bundle === undefined ? document : `${JSON.stringify(bundle, null, 2)}\n`,
    );
  } finally {
    progress.clear();
    stopListening();
  }
}

async function doctor(flags: DoctorFlags): Promise<number> {
  const controller = new AbortController();
  const stopListening = onInterrupt(() => controller.abort(), endNow);
  try {
    const steps = await runDoctor({
      tpm: flags.tpm,
      readEventLog: () => readInput(flags.eventLog, MAX_EVENT_LOG_BYTES),
      signal: controller.signal,
      onStep: (step) => process.stdout.write(formatStep(step)),
    });
    const failed = steps.some(({ state }) => state === 'failed');
    process.stdout.write(failed ? 'This machine cannot attest.\n' : 'This machine can attest.\n');
    return failed ? EXIT.failed : EXIT.ok;
  } finally {
    stopListening();
  }
}

async function printPcrs({ tpm }: { readonly tpm?: string }): Promise<void> {
  const controller = new AbortController();
  const stopListening = onInterrupt(() => controller.abort(), endNow);
  try {
    const pcrs = await readOwnPcrs({ tpm, signal: controller.signal });
    stopListening();
    const named = [...pcrs].map(([pcr, value]) => [`PCR${pcr}`, encodeHex(value)]);
    await writeOutput(undefined, `${JSON.stringify(Object.fromEntries(named), null, 2)}\n`);
  } finally {
    stopListening();
  }
}

const STATE_WORDS: Readonly<Record<DoctorStep['state'], string>> = {
  ok: 'ok      ',
  failed: 'FAILED  ',
  warning: 'warning ',
  'not-run': 'not run ',
};

function formatStep({ name, state, detail, hint }: DoctorStep): string {
  const line = `${STATE_WORDS[state]} ${name.padEnd(14)} ${detail}\n`;
  return hint === undefined ? line : `${line}${' '.repeat(24)}${hint}\n`;
}

async function readNonce(text: string | undefined): Promise<Uint8Array> {
  if (text === undefined)
    throw new ToolError('usage.option-invalid', {
      expected: "--nonce <hex|@file>, the relying party's challenge",
      actual: 'none',
    });
  if (text.startsWith('@')) return readInput(text.slice(1), MAX_DOCUMENT_FIELD_BYTES);
  const nonce = decodeHex(text);
  if (nonce === undefined)
    throw new ToolError('usage.option-invalid', {
      expected: 'a nonce in hex, or @file',
      actual: JSON.stringify(text.slice(0, 64)),
    });
  return nonce;
}

async function readOptional(
  path: string | undefined,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  return path === undefined ? undefined : readInput(path, maxBytes);
}

function checkStandardInput(flags: AttestFlags): void {
  const names = [
    ['--nonce', flags.nonce === '@-'],
    ['--user-data', flags.userData === '-'],
    ['--public-key', flags.publicKey === '-'],
    ['--event-log', flags.eventLog === '-'],
  ] as const;
  const used = names.filter(([, isInput]) => isInput).map(([name]) => name);
  if (used.length > 1)
    throw new ToolError('usage.option-conflict', {
      expected: 'standard input for one option',
      actual: used.join(' and '),
    });
}

// No top-level await: the single-file executable runs this as CommonJS.
tolerateClosedPipe();
main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
    letGoOfDevices();
  },
  (error: unknown) => {
    process.exitCode = reportError(PROGRAM, error);
  },
);
