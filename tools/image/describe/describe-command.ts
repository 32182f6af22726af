import { basename } from 'node:path';
import { Command } from 'commander';
import { writeOutput } from '../../common/command-line.js';
import { openFile } from '../../common/file-source.js';
import { ToolError } from '../../common/tool-error.js';
import { formatPartitionDescription } from '../disk/partition-description.js';
import { readAt } from '../disk/read-at.js';
import { describeRaw } from './describe-raw.js';
import { openRaw, unsupported } from './open-raw.js';

interface DescribeFlags {
  readonly out?: string;
  readonly uki?: string;
}

/** Firmware loads the UKI as a whole; none is near this. */
const MAX_UKI_BYTES = 1024 * 1024 * 1024;

/** `tee-image describe`: what a raw image of any maker holds, as the other commands read it. */
export function describeCommand(): Command {
  return new Command('describe')
    .description('describe the partitions of a raw image of any maker, and take its UKI out')
    .argument('<raw>', 'the raw image')
    .option('--out <file>', 'write the description there instead of to standard output')
    .option('--uki <file>', 'write the UKI of the EFI system partition there')
    .addHelpText(
      'after',
      `
For images that tee-image build did not make, e.g. those of systemd-repart: with the description as
partitions.json, the UKI as unsigned.efi and a manifest of tee-image measure beside the raw image,
tee-image sign takes the folder. The partitions must be esp, root and root-verity, or esp, usr and
usr-verity, in this order. Nothing is verified: that is tee-image verify.

Example:
  tee-image describe out/nixos-tee_1.raw --out out/partitions.json --uki out/unsigned.efi

Exit status: 0 described, 1 the image has another form (the code says which), 2 usage, unreadable
or unwritable file.`,
    )
    .action(runDescribe);
}

async function runDescribe(path: string, { out, uki }: DescribeFlags): Promise<void> {
  if (uki !== undefined && uki === (out ?? '-'))
    throw new ToolError('usage.option-conflict', {
      expected: '--out and --uki at two places',
      actual: uki,
    });
  const file = await openFile(path);
  try {
    const raw = await openRaw(file);
    const description = await describeRaw(basename(path), raw);
    if (raw.uki.size > MAX_UKI_BYTES) throw unsupported('a UKI below 1 GiB', `${raw.uki.size}`);
    if (uki !== undefined)
      await writeOutput(uki, await readAt(raw.uki, 0, raw.uki.size, 'UKI', 'esp.malformed'));
    await writeOutput(out, formatPartitionDescription(description));
  } finally {
    await file.close();
  }
}
