import { Command, InvalidArgumentError } from 'commander';
import { writeOutput } from '../common/command-line.js';
import { openFile } from '../common/file-source.js';
import { extractEif } from './extract-eif.js';

interface ExtractFlags {
  readonly out: string;
  readonly unpack?: boolean;
  readonly maxBytes?: number;
}

/** `tee-eif extract`: takes an image apart. */
export function extractCommand(): Command {
  return new Command('extract')
    .description('write the sections of an image into a folder')
    .argument('<eif>', 'the image; - reads standard input')
    .requiredOption('--out <dir>', 'a folder that does not exist or is empty')
    .option('--unpack', 'also unpack the ramdisks (cpio, plain or gzip)')
    .option('--max-bytes <count>', 'what a ramdisk may unpack to (default: 8 GiB)', parseBytes)
    .addHelpText(
      'after',
      `
Writes kernel, cmdline, metadata.json, ramdisk-1, ramdisk-2, …, and signature.cbor and certificate.pem
of a signed image; with --unpack the folders ramdisk-1.d, … Nothing is written outside the folder.
Symbolic links are made as they are in the image and may point anywhere: do not follow them as root.
Devices are left out.

Example:
  tee-eif extract payments.eif --out payments --unpack

Exit status: 0 extracted, 1 the image is damaged or hostile (the code says why), 2 usage, or a file
that cannot be read or written.`,
    )
    .action(async (path: string, { out, unpack = false, maxBytes }: ExtractFlags) => {
      const source = await openFile(path);
      try {
        const options = { unpack, ...(maxBytes !== undefined && { maxBytes }) };
        const { files, skipped } = await extractEif(source, out, options);
        for (const name of skipped) process.stderr.write(`note: left out, no file: ${name}\n`);
        await writeOutput(undefined, files.map((name) => `${name}\n`).join(''));
      } finally {
        await source.close();
      }
    });
}

function parseBytes(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('a number of bytes.');
  return value;
}
