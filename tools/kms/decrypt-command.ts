import { Command } from 'commander';
import { decryptAttested } from './attested-calls.js';
import { type AttestedCallFlags, runAttestedCall, withCallOptions } from './attested-command.js';
import { readCiphertext, readEncryptionContext } from './key-input.js';
import { checkTarget, writeSecret } from './write-secret.js';

interface Flags extends AttestedCallFlags {
  readonly keyId: string;
  readonly ciphertext: string;
  readonly encryptionContext?: readonly string[];
  readonly out?: string;
}

/** `tee-kms decrypt`: a secret for this machine only. */
export function decryptCommand(): Command {
  const command = new Command('decrypt')
    .description('decrypt a secret that the key service gives to attested machines only')
    .requiredOption('--key-id <id>', 'ARN (best: the answer is held against it), ID or alias')
    .requiredOption('--ciphertext <base64|@file|->', 'what was encrypted; - reads standard input')
    .option('--encryption-context <name=value...>', 'as it was encrypted with')
    .option('--out <file>', 'write to a file of mode 0600 instead of standard output');
  return withCallOptions(command)
    .addHelpText(
      'after',
      `
Nothing but the secret goes to standard output. When access is denied, the PCRs of this machine
are shown, to be held against the key's policy (tee-kms policy).

Examples:
  tee-kms decrypt --key-id arn:aws:kms:eu-central-1:111122223333:key/… --ciphertext @secret.enc \\
    --out /run/secret
  tee-kms decrypt --key-id alias/app --region eu-central-1 --ciphertext - < secret.enc | app
  tee-kms decrypt --key-id … --ciphertext AQICAH… --encryption-context service=db stage=prod

Exit status: 0 done, 1 refused or failed, 2 usage, or a file that cannot be read or written, 130
interrupted.`,
    )
    .action(runDecrypt);
}

async function runDecrypt(flags: Flags): Promise<void> {
  await checkTarget(flags.out);
  const CiphertextBlob = await readCiphertext(flags.ciphertext);
  const EncryptionContext = readEncryptionContext(flags.encryptionContext);
  const input = { KeyId: flags.keyId, CiphertextBlob, EncryptionContext };
  const answer = await runAttestedCall(flags.keyId, flags, (client, attest, options) =>
    decryptAttested(client, input, attest, options),
  );
  if (answer === undefined) return;
  try {
    await writeSecret(flags.out, answer.plaintext);
  } finally {
    answer.plaintext.fill(0);
  }
}
