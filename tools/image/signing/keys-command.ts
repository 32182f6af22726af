import { Command } from 'commander';
import { writeOutput } from '../../common/command-line.js';

/** `tee-image keys`: the Secure Boot identity. */
export function keysCommand(): Command {
  const keys = new Command('keys').description('make the Secure Boot identity that signs images');
  keys.addCommand(newCommand());
  for (const command of keys.commands) command.exitOverride();
  return keys;
}

function newCommand(): Command {
  return new Command('new')
    .description('make a Secure Boot identity: owner GUID, PK, KEK and db')
    .requiredOption('--out <dir>', 'the folder to make; it must not be there yet')
    .option('--owner-guid <guid>', 'the owner beside each certificate (default: a new one)')
    .option('--name <text>', 'begins the names in the certificates', 'tee-image')
    .addHelpText(
      'after',
      `
The folder, which only its owner may enter, then holds:
  owner-guid.txt
  PK.key KEK.key db.key     private keys (RSA-2048, PKCS#8); keep them off machines that build
  PK.pem KEK.pem db.pem     self-signed certificates, and the same in DER as .crt
  PK.esl KEK.esl db.esl     EFI signature lists: what firmware is given
  dbx.esl                   empty: nothing is revoked

PCR7 measures owner GUID and certificates. Keep the identity as long as PCR7 is to stay the same
over image versions; with a new one, images that the old one signed no longer boot.

Examples:
  tee-image keys new --out payments-keys
  tee-image keys new --out payments-keys --name payments \\
    --owner-guid 3f1c7a52-5d0e-4c1b-9a53-0c6d2f0e8b11

Exit status: 0 made, 1 the folder holds something already, 2 usage or unwritable folder.`,
    )
    .action(async (flags: { out: string; ownerGuid?: string; name: string }) => {
      // Loaded when needed: the certificate library takes a while.
      const { createIdentity } = await import('./create-identity.js');
      const { out, ownerGuid, name } = flags;
      const owner = await createIdentity(out, {
        name,
        ...(ownerGuid === undefined ? {} : { ownerGuid }),
      });
      await writeOutput(undefined, `${out}: owner ${owner}; keep the folder, and keep it secret\n`);
    });
}
