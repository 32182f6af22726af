import { Command } from 'commander';
import { AttestationError } from 'tee-verify';
import { decodeHex } from 'tee-verify/bytes';
import { parseTpmAddress } from '../agent/transport/open-transport.js';
import type { SocketAddress } from '../agent/transport/socket-transport.js';
import {
  EXIT,
  onInterrupt,
  readInput,
  reportError,
  tolerateClosedPipe,
  writeOutput,
} from '../common/command-line.js';
import { ToolError } from '../common/tool-error.js';
import packageJson from '../package.json' with { type: 'json' };
import { bootFromManifest, replayBoot } from './boot-state.js';
import { parseFault } from './faults.js';
import { listen } from './socket-server.js';
import { createSimulator, type SimulatorOptions, type TpmSimulator } from './tpm-simulator.js';

const PROGRAM = 'tee-simulator';
const LISTEN_FORMS = 'tcp:host:port or unix:path';
const MAX_EVENT_LOG_BYTES = 8 * 1024 * 1024;
const MAX_MANIFEST_BYTES = 1024 * 1024;

const HELP = `
The simulator prints the root certificate of its own PKI (PEM), then serves raw TPM commands until
it is stopped. Its documents never chain to AWS: a verifier accepts them only with that root.

Faults: <kind>[=<value>][@<command>][#<n>][x<times>], struck at the nth matching command
  late=<ms>  truncated[=<bytes>]  oversized[=<bytes>]  garbled[=<offset>]  disconnect
  rc=<response code>  nv-full  nsm-error[=<name>]

Examples:
  tee-simulator --root root.pem
  tee-attest --tpm tcp:127.0.0.1:2321 --nonce 0011223344556677 --out bundle.json
  tee-verify bundle.json --trust-anchor root.pem --nonce 0011223344556677 -m manifest.json

  tee-simulator --manifest manifest.json            PCRs as this image boots
  tee-simulator --event-log binary_bios_measurements
  tee-simulator --pcr 4=00…ff --extend 23=aa…bb
  tee-simulator --fault late=2000@Quote --fault rc=0x922@NV_Write#2
  TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=2321 tpm2_pcrread

Exit status: 0 stopped by a signal, 1 a fault of the simulator itself, 2 wrong usage, a file that
cannot be read, understood or written, or an address in use.`;

interface Flags {
  readonly listen: string;
  readonly control: boolean;
  readonly root?: string;
  readonly pcr: readonly string[];
  readonly extend: readonly string[];
  readonly eventLog?: string;
  readonly manifest?: string;
  readonly set?: string;
  readonly moduleId?: string;
  readonly seed?: string;
  readonly fault: readonly string[];
}

/** Runs the command line until a signal; gives its exit status. */
export async function main(args: readonly string[]): Promise<number> {
  const program = new Command(PROGRAM)
    .description('A NitroTPM in software, for tests and demos. Not AWS, and no hardware.')
    .version(packageJson.version)
    .option('--listen <address>', 'tcp:host:port or unix:path; port 0 is any', 'tcp:127.0.0.1:2321')
    .option('--no-control', 'no control channel at the next port (or <path>.ctrl) for tpm2-tools')
    .option('--root <file>', 'write the root certificate (PEM) here instead of standard output')
    .option('--pcr <index>=<hex>', 'start with this SHA-384 value', collect, [])
    .option(
      '--extend <index>=<hex>',
      'extend with this SHA-384 digest, after all other options',
      collect,
      [],
    )
    .option('--event-log <file>', 'PCRs as a boot with this log leaves them')
    .option('--manifest <file>', 'SHA-384 PCRs as this reference manifest wants them')
    .option('--set <label>', 'which set of the manifest (default: the first not revoked)')
    .option('--module-id <id>', 'stands in the documents')
    .option('--seed <hex>', '32 bytes from which attestation keys derive (default: random)')
    .option('--fault <fault>', 'something that goes wrong, see below', collect, [])
    .addHelpText('after', HELP)
    .showHelpAfterError(`(run "${PROGRAM} --help" for help)`)
    .exitOverride()
    .action(serve);
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    const status = reportError(PROGRAM, error);
    // Nothing is verified here: what cannot be parsed is a file that the user named.
    return error instanceof AttestationError ? EXIT.usage : status;
  }
}

async function serve(flags: Flags): Promise<void> {
  const address = parseListenAddress(flags.listen);
  const simulator = await setUp(flags);
  const listening = await listen(simulator, address, { control: flags.control });
  const stopped = new Promise<void>((resolve) => onInterrupt(resolve));
  try {
    await writeOutput(flags.root, simulator.rootPem);
    process.stderr.write(`${PROGRAM}: listening on ${listening.address} (simulated, not AWS)\n`);
    // The first HMAC session of a client need not wait for an RSA key.
    await simulator.prepare();
    await stopped;
  } finally {
    await listening.close();
  }
}

async function setUp(flags: Flags): Promise<TpmSimulator> {
  if (flags.set !== undefined && flags.manifest === undefined)
    throw new ToolError('usage.option-conflict', {
      expected: '--set with --manifest',
      actual: '--set',
    });
  const seed = flags.seed === undefined ? undefined : hexOption('--seed', flags.seed);
  const options: SimulatorOptions = {
    ...(seed === undefined ? {} : { seed }),
    ...(flags.moduleId === undefined ? {} : { moduleId: flags.moduleId }),
    faults: flags.fault.map(parseFault),
  };
  const simulator = await createSimulator(options);
  if (flags.eventLog !== undefined)
    await replayBoot(simulator, await readInput(flags.eventLog, MAX_EVENT_LOG_BYTES));
  if (flags.manifest !== undefined)
    bootFromManifest(simulator, await readInput(flags.manifest, MAX_MANIFEST_BYTES), flags.set);
  for (const text of flags.pcr) simulator.setPcr(...pcrOption('--pcr', text));
  for (const text of flags.extend) simulator.extendPcr(...pcrOption('--extend', text));
  return simulator;
}

function parseListenAddress(text: string): SocketAddress {
  const address = parseTpmAddress(text, LISTEN_FORMS);
  if ('device' in address)
    throw new ToolError('usage.option-invalid', {
      expected: LISTEN_FORMS,
      actual: JSON.stringify(text),
    });
  return address;
}

function pcrOption(option: string, text: string): [index: number, value: Uint8Array] {
  const match = /^(\d{1,2})=(.*)$/.exec(text);
  if (match === null)
    throw new ToolError('usage.option-invalid', {
      expected: `${option} <index>=<hex>`,
      actual: JSON.stringify(text.slice(0, 64)),
    });
  return [Number(match[1]), hexOption(option, match[2] as string)];
}

function hexOption(option: string, text: string): Uint8Array {
  const bytes = decodeHex(text);
  if (bytes === undefined)
    throw new ToolError('usage.option-invalid', {
      expected: `${option} in hex`,
      actual: JSON.stringify(text.slice(0, 64)),
    });
  return bytes;
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

tolerateClosedPipe();
main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.exitCode = reportError(PROGRAM, error);
  },
);
