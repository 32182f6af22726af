import { Command } from 'commander';
import { formatEnclaveMeasurements } from 'tee-verify/measure';
import { writeOutput } from '../common/command-line.js';
import { openFile } from '../common/file-source.js';
import { ToolError } from '../common/tool-error.js';
import { readSigner } from './build-command.js';
import { signEif } from './sign-eif.js';

interface SignFlags {
  readonly privateKey: string;
  readonly certificate: string;
  readonly out: string;
}

/** `tee-eif sign`: signs an image that was built before. */
export function signCommand(): Command {
  return new Command('sign')
    .description('write a signed copy of an image; a signature it has already is replaced')
    .argument('<eif>', 'the image; - reads standard input')
    .requiredOption('--private-key <pem>', 'key on P-256, P-384 or P-521')
    .requiredOption('--certificate <pem>', 'certificate of the key; makes PCR8')
    .requiredOption('--out <eif>', 'the signed image; may be the same file')
    .addHelpText(
      'after',
      `
Prints the PCRs as JSON. PCR0, PCR1 and PCR2 stay as they are.

Example:
  tee-eif sign payments.eif --private-key key.pem --certificate cert.pem --out signed.eif

Exit status: 0 signed, 1 the image is damaged or the key does not fit (the code says why), 2 usage, or
a file that cannot be read or written.`,
    )
    .action(async (path: string, { privateKey, certificate, out }: SignFlags) => {
      if ([path, privateKey, certificate].filter((file) => file === '-').length > 1)
        throw new ToolError('usage.option-conflict', { actual: 'standard input twice' });
      if (out === '-')
        throw new ToolError('usage.option-conflict', {
          actual: '--out -: an image is written to a file',
        });
      const signer = await readSigner(privateKey, certificate);
      if (signer === undefined) throw new TypeError('both files are demanded above');
      const source = await openFile(path);
      try {
        const { pcrs } = await signEif(source, out, signer);
        await writeOutput(undefined, formatEnclaveMeasurements(pcrs));
      } finally {
        await source.close();
      }
    });
}
