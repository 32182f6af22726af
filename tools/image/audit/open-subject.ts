import { stat } from 'node:fs/promises';
import type { ByteSource } from 'tee-verify/measure';
import { openFile } from '../../common/file-source.js';
import { ToolError } from '../../common/tool-error.js';
import { openRaw } from '../describe/open-raw.js';
import type { FileTree } from './file-tree.js';
import type { AuditSubject } from './finding.js';
import { isErofs, readErofs } from './read-erofs.js';
import { readFolder } from './read-folder.js';
import { readInitrd } from './read-initrd.js';

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
    if (commandLine !== undefined)
      throw new ToolError('usage.option-conflict', {
        expected: 'a raw image without --cmdline: its UKI has one',
        actual: '--cmdline',
      });
    return { ...(await readImage(file)), close };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What a raw image boots, and its root or /usr. */
async function readImage(source: ByteSource): Promise<AuditSubject> {
  const raw = await openRaw(source);
  const tree = await readErofs(raw.data.source);
  return {
    tree: raw.mount === 'usr' ? placeUsr(tree) : tree,
    commandLine: raw.commandLine,
    ...(raw.initrd === undefined ? {} : { initrd: await readInitrd(raw.initrd) }),
    otherEspFiles: raw.espContents.files
      .map(({ path }) => path)
      .filter((path) => path !== raw.ukiPath),
  };
}

/** The partition of /usr holds the store of NixOS at its place, or else /usr itself. */
export function placeUsr(tree: FileTree): FileTree {
  // systemd's links to /usr of merged systems are not on the partition.
  return tree.below('/usr', '/nix');
}
