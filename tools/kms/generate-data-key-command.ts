import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { writeOutput } from '../common/command-line.js';
import { ToolError } from '../common/tool-error.js';
import { generateDataKeyAttested } from './attested-calls.js';
import { type AttestedCallFlags, runAttestedCall, withCallOptions } from './attested-command.js';
import { parseByteCount, readEncryptionContext } from './key-input.js';
import { checkTarget, writeSecret } from './write-secret.js';

interface Flags extends AttestedCallFlags {
  readonly keyId: string;
  readonly keySpec?: 'AES_128' | 'AES_256';
  readonly numberOfBytes?: number;
  readonly encryptionContext?: readonly string[];
  readonly out?: string;
  readonly ciphertextOut?: string;
}

/** `tee-kms generate-data-key`: a new key for this machine only, and its encrypted copy. */
export function generateDataKeyCommand(): Command {
  const command = new Command('generate-data-key')
    .description('make a data key that only this machine reads, and its encrypted copy')
    .requiredOption('--key-id <id>', 'ARN (best: the answer is held against it), ID or alias')
    .addOption(
      new Option('--key-spec <spec>', 'kind of key (default: AES_256)').choices([
        'AES_256',
        'AES_128',
      ]),
    )
    .option('--number-of-bytes <n>', 'instead: its length, 1 to 1024', parseByteCount)
    .option('--encryption-context <name=value...>', 'needed again to decrypt the copy')
    .option('--out <file>', 'write the key to a file of mode 0600 instead of standard output')
    .option(
      '--ciphertext-out <file>',
      'write the encrypted copy here: without it, this key is lost',
    );
  return withCallOptions(command)
    .addHelpText(
      'after',
      `
The encrypted copy is written first: tee-kms decrypt gives the same key again.

Example:
  tee-kms generate-data-key --key-id arn:aws:kms:… --out /run/key --ciphertext-out key.enc

Exit status: 0 done, 1 refused or failed, 2 usage, or a file that cannot be read or written, 130
interrupted.`,
    )
    .action(runGenerate);
}

async function runGenerate(flags: Flags): Promise<void> {
  const { keyId, keySpec, numberOfBytes, out, ciphertextOut } = flags;
  await checkTarget(out);
  if (keySpec !== undefined && numberOfBytes !== undefined)
    throw new ToolError('usage.option-conflict', {
      expected: '--key-spec or --number-of-bytes',
      actual: 'both',
    });
  if (ciphertextOut === '-' && (out === undefined || out === '-'))
    throw new ToolError('usage.option-conflict', {
      expected: 'standard output for one of the two',
      actual: 'the key and its copy',
    });
  if (out !== undefined && ciphertextOut !== undefined && resolve(out) === resolve(ciphertextOut))
    throw new ToolError('usage.option-conflict', {
      expected: 'two files for the key and its copy',
      actual: `both in ${out}`,
    });
  const size =
    numberOfBytes === undefined
      ? { KeySpec: keySpec ?? 'AES_256' }
      : { NumberOfBytes: numberOfBytes };
  const EncryptionContext = readEncryptionContext(flags.encryptionContext);
  const answer = await runAttestedCall(keyId, flags, (client, attest, options) =>
    generateDataKeyAttested(client, { KeyId: keyId, EncryptionContext, ...size }, attest, options),
  );
  if (answer === undefined) return;
  try {
    if (ciphertextOut !== undefined) await writeOutput(ciphertextOut, answer.ciphertextBlob);
    else
      process.stderr.write('tee-kms: note: the encrypted copy was not kept (--ciphertext-out)\n');
    await writeSecret(out, answer.plaintext);
  } finally {
    answer.plaintext.fill(0);
  }
}
