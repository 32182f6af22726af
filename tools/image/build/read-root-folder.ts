import {
  accessSync,
  constants,
  lstatSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { printable } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { encodeDevice, normalMode, type RootEntry } from './root-tree.js';

const SLASH = Buffer.from('/');
const MAX_ENTRIES = 2_000_000;

/**
 * Everything below a folder, with `''` for the folder itself. Owners are left out: everything
 * belongs to root; modes are normal unless they are to be kept. Throws `file.unreadable`,
 * `root.unsupported-file`.
 */
export function readRootFolder(root: string, keepModes: boolean): RootEntry[] {
  const entries: RootEntry[] = [];
  const visit = (file: Buffer, path: string): void => {
    const stats = reading(file, () => lstatSync(file));
    if (entries.length >= MAX_ENTRIES)
      throw new ToolError('root.unsupported-file', {
        expected: `at most ${MAX_ENTRIES} files`,
        actual: 'more',
      });
    entries.push(toEntry(file, path, stats, keepModes));
    if (!stats.isDirectory()) return;
    for (const name of reading(file, () => readdirSync(file, { encoding: 'buffer' })))
      visit(
        Buffer.concat([file, SLASH, name]),
        path === '' ? name.toString('latin1') : `${path}/${name.toString('latin1')}`,
      );
  };
  // The folder itself may be a symbolic link; everything below is as it stands.
  const start = reading(Buffer.from(root), () => realpathSync(root, { encoding: 'buffer' }));
  visit(start, '');
  return entries;
}

function toEntry(file: Buffer, path: string, stats: Stats, keepModes: boolean): RootEntry {
  const isDirectory = stats.isDirectory();
  const mode = keepModes ? stats.mode & 0o7777 : normalMode(isDirectory, stats.mode);
  const entry = { path, mode, uid: 0, gid: 0, sizeBytes: 0 };
  if (isDirectory) return { ...entry, kind: 'directory' };
  if (stats.isFile()) {
    reading(file, () => accessSync(file, constants.R_OK));
    return { ...entry, kind: 'file', sizeBytes: stats.size };
  }
  if (stats.isSymbolicLink()) {
    const target = reading(file, () => readlinkSync(file, { encoding: 'buffer' }));
    const text = target.toString('latin1');
    return { ...entry, kind: 'symlink', mode: 0o777, sizeBytes: target.length, target: text };
  }
  if (stats.isCharacterDevice() || stats.isBlockDevice()) {
    const kind = stats.isBlockDevice() ? 'block-device' : 'character-device';
    return { ...entry, kind, device: deviceOf(stats.rdev) };
  }
  throw new ToolError('root.unsupported-file', {
    expected: 'folders, files and symbolic links',
    actual: `/${printable(path)}: ${stats.isFIFO() ? 'a pipe' : 'a socket'}`,
  });
}

/** From st_rdev of Linux (gnu_dev_major, gnu_dev_minor). */
function deviceOf(rdev: number): number {
  const number = BigInt(rdev);
  const major = Number((number >> 8n) & 0xfffn);
  const minor = Number((number & 0xffn) | ((number >> 12n) & 0xfff00n));
  return encodeDevice(major, minor);
}

function reading<T>(file: Buffer, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const { code = 'an error' } = cause as NodeJS.ErrnoException;
    throw new ToolError('file.unreadable', {
      actual: `${code} at ${printable(file.toString())}`,
      cause,
    });
  }
}
