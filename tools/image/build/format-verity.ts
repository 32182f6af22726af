import { ToolError } from '../../common/tool-error.js';
import { runTool } from './host-tools.js';

/** Where hashes come from and where they go. */
export interface VerityPlan {
  /** Path of the data, whole blocks of 4096 bytes. */
  readonly data: string;
  /** Path of the file that gets the superblock and the tree, and where in it. */
  readonly hashes: string;
  readonly hashOffset: number;
  readonly uuid: string;
  /** 64 hex digits. */
  readonly salt: string;
}

/**
 * Makes the hash tree of dm-verity: SHA-256, blocks of 4096 bytes. Gives the root hash, 64 lower-case
 * hex digits. Throws `host.*`, `file.unwritable`.
 */
export async function formatVerity(plan: VerityPlan): Promise<string> {
  const { stdout } = await runTool('veritysetup', [
    ...['format', plan.data, plan.hashes, `--hash-offset=${plan.hashOffset}`],
    ...['--format=1', '--hash=sha256', '--data-block-size=4096', '--hash-block-size=4096'],
    ...[`--salt=${plan.salt}`, `--uuid=${plan.uuid}`],
  ]).catch((cause: unknown) => {
    // What it says of a disk that is full.
    const isWriting = cause instanceof ToolError && /creating hash area/.test(cause.message);
    if (!isWriting) throw cause;
    throw new ToolError('file.unwritable', { actual: `${plan.hashes}: the hash tree`, cause });
  });
  const rootHash = /^Root hash:\s*([0-9a-f]{64})$/im.exec(stdout)?.[1];
  if (rootHash === undefined)
    throw new ToolError('host.tool-failed', {
      expected: 'a root hash from veritysetup',
      actual: stdout.slice(-200).trim(),
    });
  return rootHash.toLowerCase();
}
