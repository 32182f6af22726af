import { Command } from 'commander';
import { onInterrupt, writeOutput } from '../common/command-line.js';
import { parseUrl } from './create-command.js';

interface DeleteFlags {
  readonly region?: string;
  readonly endpoint?: string;
  readonly force?: true;
}

/** `tee-ami delete`: removes AMIs with their snapshots, and single snapshots. */
export function deleteCommand(): Command {
  return new Command('delete')
    .description('remove AMIs with their snapshots, or unfinished snapshots')
    .argument('<id...>', 'ami-… or snap-…')
    .option('--region <name>', 'AWS region (default: AWS_REGION or the profile)')
    .option('--endpoint <url>', 'EC2 at this address, e.g. a local emulator', parseUrl)
    .option('--force', 'also what tee-ami did not make')
    .addHelpText(
      'after',
      `
An AMI is deregistered, then its snapshots are removed: instances that run go on, new ones cannot
be launched. What does not have the tag of tee-ami is refused without --force.

Examples:
  tee-ami delete ami-0123456789abcdef0 --region eu-west-1
  tee-ami delete snap-0123456789abcdef0

Exit status: 0 removed, 1 failed (what was removed before stands on standard output), 2 usage,
130 interrupted.`,
    )
    .action(runDelete);
}

async function runDelete(ids: readonly string[], flags: DeleteFlags): Promise<void> {
  const interrupt = new AbortController();
  const stopListening = onInterrupt(() => interrupt.abort());
  try {
    const { deleteAmi } = await import('./delete-ami.js');
    for (const id of ids) {
      const { imageId, snapshotIds } = await deleteAmi({
        id,
        region: flags.region,
        endpoint: flags.endpoint,
        force: flags.force === true,
        signal: interrupt.signal,
      });
      const lines = [
        ...(imageId === undefined ? [] : [`deregistered ${imageId}`]),
        ...snapshotIds.map((snapshotId) => `deleted      ${snapshotId}`),
      ];
      await writeOutput(undefined, `${lines.join('\n')}\n`);
    }
  } finally {
    stopListening();
  }
}
