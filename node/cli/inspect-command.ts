import type { Command } from 'commander';
import { describeEvidence, type EvidenceDescription } from '../../src/describe-evidence.js';
import { AttestationError } from '../../src/index.js';
import { pcrMeaning } from '../../src/nitro/pcr-meaning.js';
import { EXIT } from './exit.js';
import { readInput } from './read-input.js';
import { printable, printableJson, type Style, styleFor } from './style.js';

/** `tee-verify inspect <evidence>`: what it says of itself, nothing verified. */
export function addInspectCommand(program: Command): void {
  program
    .command('inspect')
    .description('show what evidence says of itself, without verifying anything')
    .argument('<evidence>', 'bundle or document; - reads standard input')
    .option('--json', 'print it as one JSON object')
    .action(async (path: string, flags: { json?: true }) => {
      const bytes = await readInput(path);
      let description: EvidenceDescription;
      try {
        description = describeEvidence(bytes);
      } catch (error) {
        if (!(error instanceof AttestationError)) throw error;
        if (flags.json) {
          const { code, step, message, hint } = error;
          process.stdout.write(
            `${printableJson({ verified: false, code, step, message, hint }, 2)}\n`,
          );
        } else process.stderr.write(`UNREADABLE ${printable(error.message)} — ${error.hint}\n`);
        process.exitCode = EXIT.rejected;
        return;
      }
      if (flags.json) process.stdout.write(`${printableJson(description, 2)}\n`);
      else printDescription(description, styleFor(process.stdout));
    });
}

function printDescription(d: EvidenceDescription, style: Style): void {
  const line = (text = ''): void => {
    process.stdout.write(`${text}\n`);
  };
  const time = (milliseconds: number): string => new Date(milliseconds).toISOString();
  line(style.bold(style.warn('UNVERIFIED: nothing below is proven, anybody can write it.')));
  line(`form        ${d.form}`);
  line(`platform    ${d.platform}`);
  line(`module_id   ${printable(d.moduleId)}`);
  line(`timestamp   ${time(d.timestampMs)}`);
  for (const [name, value] of [
    ['nonce     ', d.nonce],
    ['user_data ', d.userData],
    ['public_key', d.publicKey],
  ] as const)
    line(`${name}  ${value ?? 'none'}`);
  if (d.unknownKeys.length > 0) line(`other keys  ${printable(d.unknownKeys.join(', '))}`);
  line('certificates');
  for (const certificate of d.certificates)
    line(
      'error' in certificate
        ? `  ${certificate.label.padEnd(12)} ${style.bad(printable(certificate.error))}`
        : `  ${certificate.label.padEnd(12)} ${printable(certificate.subject)} ${style.dim(`${time(certificate.notBeforeMs)} … ${time(certificate.notAfterMs)}`)}`,
    );
  line('PCRs (SHA-384)');
  for (const [index, value] of Object.entries(d.pcrs))
    line(`  ${index.padStart(2)} ${value}  ${style.dim(pcrMeaning(d.platform, Number(index)))}`);
  if (d.quote !== undefined) {
    line('quote');
    if ('error' in d.quote) line(`  ${style.bad(printable(d.quote.error))}`);
    else {
      line(`  nonce           ${d.quote.nonce || 'none'}`);
      line(`  PCR digest      ${d.quote.pcrDigest}`);
      line(`  attestation key ${d.quote.attestationKey}`);
    }
  }
  if (d.eventLogBytes !== undefined) line(`event log   ${d.eventLogBytes} bytes`);
  line(style.bold(style.warn('UNVERIFIED: to verify, give a manifest (tee-verify --help).')));
}
