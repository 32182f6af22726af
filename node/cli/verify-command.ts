import type { Command } from 'commander';
import { inspectAttestation } from '../index.js';
import { EXIT } from './exit.js';
import { printReport } from './print-report.js';
import { oneStandardInput, readInput } from './read-input.js';
import { printableJson, styleFor } from './style.js';
import {
  addVerifyOptions,
  demandManifest,
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
    const manifestPath = demandManifest(flags);
    oneStandardInput(path, manifestPath, ...(flags.trustAnchor ?? []), flags.manifestKeys);
    const options = await toVerifyOptions(flags);
    const [evidence, manifest] = [await readInput(path), await readInput(manifestPath)];
    const report = await inspectAttestation(evidence, manifest, {
      ...options,
      ...(flags.provider !== undefined && { provider: flags.provider }),
      ...(flags.nonce !== undefined && { nonce: flags.nonce }),
    });
    if (flags.json) process.stdout.write(`${printableJson(report, 2)}\n`);
    else printReport(report, process.stdout, styleFor(process.stdout));
    process.exitCode = report.verdict === 'verified' ? EXIT.verified : EXIT.rejected;
  });
}
