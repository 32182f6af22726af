import { stat } from 'node:fs/promises';
import { openFile } from '../../common/file-source.js';
import { ToolError } from '../../common/tool-error.js';
import type { AuditSubject } from './finding.js';
import { isErofs, readErofs } from './read-erofs.js';
import { readFolder } from './read-folder.js';

/** What is audited, with the file behind it. */
export interface OpenSubject extends AuditSubject {
  close(): Promise<void>;
}

/**
 * Opens a raw image, an erofs file system or the folder of a root. `commandLine` is for those that
 * bring none. Throws `usage.option-conflict`, `file.unreadable`, and what reading the image throws.
 */
export async function openSubject(path: string, commandLine?: string): Promise<OpenSubject> {
  const given = commandLine === undefined ? {} : { commandLine };
  const isFolder = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (isFolder) return { tree: await readFolder(path), ...given, close: async () => undefined };
  const file = await openFile(path);
  try {
    const close = (): Promise<void> => file.close();
    if (await isErofs(file)) return { tree: await readErofs(file), ...given, close };
    throw new ToolError('usage.option-conflict');
  } catch (error) {
    await file.close();
    throw error;
  }
}
