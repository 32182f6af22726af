import { lstatSync, readdirSync, readlinkSync, realpathSync, type Stats } from 'node:fs';
import { ToolError } from '../common/tool-error.js';
import type { CpioEntry } from './cpio-entry.js';
import { reading } from './file-errors.js';

/** How a folder becomes entries. */
export interface ReadTreeOptions {
  /** Put in front of every path, e.g. `rootfs/`. */
  readonly prefix?: string;
  /** Keep all permission bits; default: 755 for folders and executables, 644 for other files. */
  readonly keepModes?: boolean;
  /**
   * Store a file with several names once for each: for trees whose hard links are an accident, as
   * those of a deduplicating store are.
   */
  readonly copyHardLinks?: boolean;
}

const SLASH = Buffer.from('/');

/**
 * Everything below a folder, sorted by the bytes of the paths, whatever order the file system has.
 * Symbolic links are written down, never followed; owners, times and inode numbers are left out.
 * Throws `file.unreadable`, and `build.file-unsupported` for devices, sockets and pipes.
 */
export function readTree(root: string, options: ReadTreeOptions = {}): CpioEntry[] {
  const { prefix = '' } = options;
  const entries: CpioEntry[] = [];
  const walk = (folder: Buffer, above: string): void => {
    for (const name of reading(folder, () => readdirSync(folder, { encoding: 'buffer' }))) {
      const file = Buffer.concat([folder, SLASH, name]);
      const path = `${above}${name.toString('latin1')}`;
      const stats = reading(file, () => lstatSync(file));
      entries.push(toEntry(file, path, stats, options));
      if (stats.isDirectory()) walk(file, `${path}/`);
    }
  };
  // The folder itself may be a symbolic link; everything below is as it stands.
  const start = reading(Buffer.from(root), () => realpathSync(root, { encoding: 'buffer' }));
  if (!reading(start, () => lstatSync(start)).isDirectory())
    throw new ToolError('file.unreadable', { expected: `${root}: a folder`, actual: 'a file' });
  walk(start, prefix);
  return sortEntries(entries);
}

/** By the bytes of the paths: a folder always comes before what it holds. */
export function sortEntries(entries: readonly CpioEntry[]): CpioEntry[] {
  return [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

function toEntry(
  file: Buffer,
  path: string,
  stats: Stats,
  { keepModes = false, copyHardLinks = false }: ReadTreeOptions,
): CpioEntry {
  const isExecutable = stats.isDirectory() || (stats.mode & 0o100) !== 0;
  const mode = keepModes ? stats.mode & 0o7777 : isExecutable ? 0o755 : 0o644;
  if (stats.isDirectory()) return { path, kind: 'directory', mode };
  if (stats.isSymbolicLink()) {
    const target = reading(file, () => readlinkSync(file, { encoding: 'buffer' }));
    return { path, kind: 'symlink', mode: 0o777, target: target.toString('latin1') };
  }
  if (!stats.isFile())
    throw new ToolError('build.file-unsupported', {
      expected: 'folders, files and symbolic links',
      actual: file.toString(),
    });
  const contents = { file, sizeBytes: stats.size };
  const link = stats.nlink > 1 && !copyHardLinks ? { link: `${stats.dev}:${stats.ino}` } : {};
  return { path, kind: 'file', mode, contents, ...link };
}
