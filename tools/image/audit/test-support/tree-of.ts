import { posix } from 'node:path';
import { FileTree, type TreeFile } from '../file-tree.js';

/** Contents, or a link (`-> target`), or what differs from a plain file. */
export type FileSpec = string | (Partial<TreeFile> & { readonly text?: string });

/** A root in memory. Folders on the way to a file are made. */
export function treeOf(specs: Readonly<Record<string, FileSpec>>): FileTree {
  const files = new Map<string, TreeFile>();
  const addFolders = (path: string): void => {
    if (files.has(path)) return;
    if (path !== '/') addFolders(posix.dirname(path));
    files.set(path, toFile(path, { kind: 'directory', mode: 0o755 }));
  };
  for (const [path, spec] of Object.entries(specs)) {
    addFolders(posix.dirname(path));
    files.set(path, toFile(path, spec));
  }
  return new FileTree([...files.values()]);
}

function toFile(path: string, spec: FileSpec): TreeFile {
  const target = typeof spec === 'string' && spec.startsWith('-> ') ? spec.slice(3) : undefined;
  const own = typeof spec === 'string' ? { text: spec } : spec;
  const bytes = new TextEncoder().encode(target ?? own.text ?? '');
  const { text: _, ...changes } = own as { text?: string };
  return {
    path,
    kind: target === undefined ? 'file' : 'symlink',
    mode: target === undefined ? 0o644 : 0o777,
    uid: 0,
    gid: 0,
    sizeBytes: bytes.length,
    hasCapabilities: false,
    read: async () => bytes,
    ...(target === undefined ? {} : { target }),
    ...changes,
  };
}
