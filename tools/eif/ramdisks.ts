import { ToolError } from '../common/tool-error.js';
import type { CpioEntry } from './cpio-entry.js';
import { gzipPieces } from './gzip-pieces.js';
import type { Pieces } from './read-pieces.js';
import { readTree, sortEntries } from './read-tree.js';
import { writeCpio } from './write-cpio.js';

/** How a ramdisk is stored: as it is, or compressed by a deflate that is the same everywhere. */
export type Compression = 'none' | 'gzip';

/** What the bootstrap ramdisk holds: `/init`, `/nsm.ko`, `/dev`. */
export interface BootstrapContents {
  readonly init: Uint8Array;
  readonly nsmKo?: Uint8Array;
}

/** What the application ramdisk holds: `/cmd`, `/env`, `/rootfs/…`. */
export interface ApplicationContents {
  /** Folder that becomes the root of the application. */
  readonly root: string;
  /** The program and its arguments; a text with several lines is several of them. */
  readonly entrypoint: readonly string[];
  /** NAME=value; a text with several lines is several of them. */
  readonly env: readonly string[];
  /** As of `readTree`. */
  readonly keepModes?: boolean;
  readonly copyHardLinks?: boolean;
}

/** Where AWS's init mounts something after it changed its root. */
const MOUNT_POINTS = ['dev', 'proc', 'run', 'sys', 'tmp', 'var'];

/** The first ramdisk by AWS's convention: init loads nsm.ko and starts the application. */
export function bootstrapEntries({ init, nsmKo }: BootstrapContents): CpioEntry[] {
  const file = (path: string, mode: number, bytes: Uint8Array): CpioEntry => ({
    ...{ path, kind: 'file', mode, contents: { bytes } },
  });
  return sortEntries([
    folder('dev'),
    file('init', 0o755, init),
    ...(nsmKo === undefined ? [] : [file('nsm.ko', 0o644, nsmKo)]),
  ]);
}

/**
 * The second ramdisk by AWS's convention: init reads one entry a line from `/cmd` and `/env`, then
 * changes its root to `/rootfs`. Throws `build.entrypoint-invalid` and what reading the folder
 * throws.
 */
export function applicationEntries(contents: ApplicationContents): CpioEntry[] {
  const { root, keepModes = false, copyHardLinks = false } = contents;
  const command = toLines(contents.entrypoint);
  if (command.length === 0)
    throw new ToolError('build.entrypoint-invalid', { expected: 'a program', actual: 'nothing' });
  const env = toLines(contents.env);
  const strange = env.find((line) => !/^[^=]+=/.test(line));
  if (strange !== undefined)
    throw new ToolError('build.entrypoint-invalid', {
      expected: 'environment as NAME=value',
      actual: JSON.stringify(strange.slice(0, 100)),
    });
  const tree = readTree(root, { prefix: 'rootfs/', keepModes, copyHardLinks });
  const present = new Set(tree.map(({ path }) => path));
  const missing = MOUNT_POINTS.map((name) => `rootfs/${name}`).filter((path) => !present.has(path));
  const list = (path: string, lines: readonly string[]): CpioEntry => {
    const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(''));
    return { path, kind: 'file', mode: 0o644, contents: { bytes } };
  };
  return sortEntries([
    ...[list('cmd', command), list('env', env), folder('rootfs')],
    ...[...missing.map(folder), ...tree],
  ]);
}

/** The archive of these entries, compressed or not. */
export function ramdiskPieces(entries: readonly CpioEntry[], compression: Compression): Pieces {
  const archive = writeCpio(entries);
  return compression === 'gzip' ? gzipPieces(archive) : archive;
}

function folder(path: string): CpioEntry {
  return { path, kind: 'directory', mode: 0o755 };
}

function toLines(texts: readonly string[]): string[] {
  const lines = texts.flatMap((text) => text.split('\n')).filter((line) => line !== '');
  const bad = lines.find((line) => /[\0\r]/.test(line));
  if (bad !== undefined)
    throw new ToolError('build.entrypoint-invalid', {
      expected: 'lines without NUL and carriage return',
      actual: JSON.stringify(bad.slice(0, 100)),
    });
  return lines;
}
