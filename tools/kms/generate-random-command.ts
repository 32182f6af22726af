import { Command } from 'commander';
import { generateRandomAttested } from './attested-calls.js';
import { type AttestedCallFlags, runAttestedCall, withCallOptions } from './attested-command.js';
import { parseByteCount } from './key-input.js';
import { checkTarget, writeSecret } from './write-secret.js';

interface Flags extends AttestedCallFlags {
  readonly numberOfBytes: number;
  readonly out?: string;
}

/** `tee-kms generate-random`: random bytes that nobody on the way reads. */
export function generateRandomCommand(): Command {
  const command = new Command('generate-random')
    .description('random bytes of the key service that only this machine reads')
    .requiredOption('--number-of-bytes <n>', 'how many, 1 to 1024', parseByteCount)
    .option('--out <file>', 'write to a file of mode 0600 instead of standard output');
  return withCallOptions(command)
    .addHelpText(
      'after',
      `
Example:
  tee-kms generate-random --number-of-bytes 64 --region eu-central-1 > /dev/urandom

Exit status: 0 done, 1 refused or failed, 2 usage, or a file that cannot be written, 130
interrupted.`,
    )
    .action(runGenerate);
}

async function runGenerate(flags: Flags): Promise<void> {
  await checkTarget(flags.out);
  const random = await runAttestedCall(undefined, flags, (client, attest, options) =>
    generateRandomAttested(client, { NumberOfBytes: flags.numberOfBytes }, attest, options),
  );
  if (random === undefined) return;
  try {
    await writeSecret(flags.out, random);
  } finally {
    random.fill(0);
  }
}
