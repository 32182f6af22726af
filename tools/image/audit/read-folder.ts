import { constants, type Stats } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ToolError } from '../../common/tool-error.js';
import { FileTree, type TreeFile } from './file-tree.js';

const MAX_FILES = 2_000_000;
const MAX_READ_BYTES = 16 * 1024 * 1024;

/**
 * Every file of a folder of this machine, as a root of its own: no link leads out of it. Node cannot
 * read extended attributes, so capabilities of files stay unknown. Throws `file.unreadable`.
 */
export async function readFolder(folder: string): Promise<FileTree> {
  const files: TreeFile[] = [];
  const visit = async (path: string): Promise<void> => {
    if (files.length >= MAX_FILES)
      throw new ToolError('file.too-large', { expected: `at most ${MAX_FILES} files` });
    const file = await readFile(folder, path);
    files.push(file);
    if (file.kind !== 'directory') return;
    const names = await reading(path, () => readdir(join(folder, path)));
    for (const name of names.sort()) await visit(path === '/' ? `/${name}` : `${path}/${name}`);
  };
  await visit('/');
  return new FileTree(files);
}

async function readFile(folder: string, path: string): Promise<TreeFile> {
  const host = join(folder, path);
  const stats = await reading(path, () => lstat(host));
  const kind = kindOf(stats);
  const file = {
    ...{ path, kind, mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid },
    sizeBytes: stats.size,
    hasCapabilities: kind === 'file' ? undefined : false,
    read: () => reading(path, () => readContents(host)),
  };
  if (kind !== 'symlink') return file;
  return { ...file, target: await reading(path, () => readlink(host)) };
}

function kindOf(stats: Stats): TreeFile['kind'] {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symlink';
  return stats.isBlockDevice() || stats.isCharacterDevice() ? 'device' : 'other';
}

async function readContents(host: string): Promise<Uint8Array> {
  // A link that took the file's place in between would lead out of the folder.
  const file = await open(host, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size } = await file.stat();
    if (size > MAX_READ_BYTES)
      throw new ToolError('file.too-large', {
        expected: `${host}: at most ${MAX_READ_BYTES} bytes`,
        actual: `${size}`,
      });
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function reading<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    const { code = 'an error' } = cause as NodeJS.ErrnoException;
    throw new ToolError('file.unreadable', { actual: `${code} at ${path}`, cause });
  }
}
