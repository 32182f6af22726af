import { Command, CommanderError } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { addBatchCommand } from './cli/batch-command.js';
import { EXIT, UsageError } from './cli/exit.js';
import { addExplainCommand } from './cli/explain-command.js';
import { addInspectCommand } from './cli/inspect-command.js';
import { printable } from './cli/style.js';
import { addVerifyCommand } from './cli/verify-command.js';

const EXAMPLES = `
Options of verification (all of them: tee-verify verify --help):
  -m, --manifest <file>   required: reference manifest; the image's publisher provides it
                          (format: docs/manifest.md; made by tee-image measure or nitro-tpm-pcr-compute)
  -n, --nonce <hex>       the challenge that the evidence must answer
  --at <time|document>    judge stored evidence at a time, or at its own timestamp
  --trust-anchor <pem>    another root than AWS Nitro's
  --json                  print the report as one JSON object

Examples:
  tee-verify bundle.json --manifest manifest.json --nonce 8a54…     fresh evidence, with your challenge
  tee-verify document.bin -m tpm_pcr.json --at document             stored evidence, for an audit
  curl -s https://host/attestation | tee-verify - -m manifest.json  from standard input
  tee-verify inspect bundle.json                                    look at it, verify nothing
  tee-verify batch evidence/ -m manifest.json --at document         thousands, one line each
  tee-verify explain x509.expired                                   what a code means

Exit status: 0 verified, 1 rejected, 2 wrong usage or unreadable file.`;

/** Runs the command line; sets the exit status. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('tee-verify')
    .description(
      'Verifies AWS NitroTPM and Nitro Enclave attestations: signature, chain, quote, freshness, and the booted image against a reference manifest.',
    )
    .version(packageJson.version)
    .usage('<evidence> --manifest <file> [options]\n       tee-verify <command> [options]')
    .showSuggestionAfterError()
    .addHelpText('after', EXAMPLES)
    .exitOverride();
  addVerifyCommand(program);
  addInspectCommand(program);
  addBatchCommand(program);
  addExplainCommand(program);
  for (const command of program.commands) {
    command.exitOverride();
    command.showHelpAfterError('(run "tee-verify --help" for help)');
  }
  // `tee-verify | head` closes the pipe early: that is not an error of ours.
  process.stderr.on('error', () => undefined); // nowhere left to complain
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE')
      process.stderr.write(`tee-verify: cannot write: ${error.message}\n`);
    process.exit(EXIT.usage);
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    process.exitCode = handle(error);
  }
}

function handle(error: unknown): number {
  // Commander has printed its own line already; help and version are not errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.verified : EXIT.usage;
  if (error instanceof UsageError || error instanceof TypeError) {
    process.stderr.write(`tee-verify: ${printable(error.message)}\n`);
    return EXIT.usage;
  }
  throw error;
}

await main(process.argv.slice(2));
