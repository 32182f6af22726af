import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { writing } from './file-errors.js';
import { type Compression, ramdiskPieces } from './ramdisks.js';
import { readTree } from './read-tree.js';

interface CpioFlags {
  readonly out: string;
  readonly compress: Compression;
  readonly keepModes?: boolean;
  /** False with `--no-hard-links`. */
  readonly hardLinks: boolean;
}

/** `tee-eif cpio`: makes a ramdisk of a folder. */
export function cpioCommand(): Command {
  return new Command('cpio')
    .description('make a ramdisk (cpio newc) of a folder, the same bytes on every machine')
    .argument('<dir>', 'the folder')
    .addOption(
      new Option('--compress <how>', 'how it is stored').choices(['none', 'gzip']).default('none'),
    )
    .option('--keep-modes', 'keep permission bits (default: 755 and 644, whatever the umask was)')
    .option('--no-hard-links', 'store a file with several names once for each of them')
    .requiredOption('--out <file>', 'the ramdisk')
    .addHelpText(
      'after',
      `
Example:
  tee-eif cpio ./bootstrap --out bootstrap.cpio

Exit status: 0 made, 1 the folder cannot become a ramdisk (the code says why), 2 usage, or a file that
cannot be read or written.`,
    )
    .action(async (folder: string, { out, compress, keepModes = false, hardLinks }: CpioFlags) => {
      const temporary = `${out}.${randomBytes(6).toString('hex')}.tmp`;
      const pieces = ramdiskPieces(
        readTree(folder, { keepModes, copyHardLinks: !hardLinks }),
        compress,
      );
      const file = await writing(out, () => open(temporary, 'wx', 0o644));
      try {
        for (const piece of pieces) await writing(out, () => file.writeFile(piece));
        await writing(out, () => file.close());
        await writing(out, () => rename(temporary, out));
      } finally {
        await file.close().catch(() => undefined);
        await rm(temporary, { force: true });
      }
    });
}
