import type { Command } from 'commander';
import { inspectAttestation } from '../index.js';
import { EXIT, UsageError } from './exit.js';
import { printReport } from './print-report.js';
import { readInput } from './read-input.js';
import { styleFor } from './style.js';
import {
  addVerifyOptions,
  parseNonce,
  toVerifyOptions,
  type VerifyFlags,
} from './verify-options.js';

interface Flags extends VerifyFlags {
  readonly nonce?: string;
  readonly json?: true;
}

/** `tee-verify <evidence> --manifest <file>`: the verdict, step by step. */
export function addVerifyCommand(program: Command): void {
  const command = program
    .command('verify', { isDefault: true })
    .description('verify evidence against a manifest (the default command)')
    .argument('<evidence>', 'bundle or document; - reads standard input')
    .option('-n, --nonce <hex>', 'the challenge that the evidence must answer', parseNonce)
    .option('--json', 'print the report as one JSON object');
  addVerifyOptions(command).action(async (path: string, flags: Flags) => {
    if (path === '-' && flags.manifest === '-')
      throw new UsageError('evidence and manifest cannot both come from standard input');
    const options = await toVerifyOptions(flags);
    const [evidence, manifest] = [await readInput(path), await readInput(flags.manifest)];
    const report = await inspectAttestation(evidence, manifest, {
      ...options,
      ...(flags.provider !== undefined && { provider: flags.provider }),
      ...(flags.nonce !== undefined && { nonce: flags.nonce }),
    });
    if (flags.json) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
    else printReport(report, process.stdout, styleFor(process.stdout));
    process.exitCode = report.verdict === 'verified' ? EXIT.verified : EXIT.rejected;
  });
}
