import { printable } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { settleInodes } from './erofs-inodes.js';
import { runTool } from './host-tools.js';
import type { RootEntry } from './root-tree.js';

/** What an erofs file system is made of. */
export interface ErofsPlan {
  /** The folder that holds the files. */
  readonly folder: string;
  /** What shall stand in the image; modes and owners come from here. */
  readonly entries: readonly RootEntry[];
  readonly uuid: string;
  /** Path of the image to be written. */
  readonly output: string;
}

/** As long as Linux allows; mkfs.erofs 1.5 leaves out the last byte and then finds no such file. */
const LONG_NAME = /(?:^|\/)[^/]{255}(?:\/|$)/;

/**
 * Writes an erofs file system: plain, without times and attributes, sorted by name, the same bytes
 * wherever the tree lies. Throws `host.*`, `file.unwritable`, `root.changed`.
 */
export async function makeErofs(plan: ErofsPlan): Promise<void> {
  const fixed = ['--quiet', '-T', '0', '-U', plan.uuid, '-x', '-1', '--all-root'];
  try {
    await runTool('mkfs.erofs', [...fixed, plan.output, plan.folder]);
  } catch (error) {
    const isUnreadable = /Permission denied|Input\/output error/i.test(
      `${(error as Error).message}`,
    );
    if (!(error instanceof ToolError)) throw error;
    const long = plan.entries.find(({ path }) => LONG_NAME.test(path));
    if (long !== undefined && /No such file/.test(error.message))
      throw new ToolError('host.tool-failed', {
        expected: 'names of at most 254 bytes: this mkfs.erofs cuts longer ones',
        actual: `/${printable(long.path, 300)}`,
        cause: error,
      });
    if (!isUnreadable) throw error;
    throw new ToolError('file.unreadable', { actual: error.actual ?? plan.folder, cause: error });
  }
  settleInodes(plan.output, plan.entries);
}
