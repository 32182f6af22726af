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
    if (!(error instanceof ToolError) || !isUnreadable) throw error;
    throw new ToolError('file.unreadable', { actual: error.actual ?? plan.folder, cause: error });
  }
  settleInodes(plan.output, plan.entries);
}
