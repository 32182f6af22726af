import { posix } from 'node:path';
import { ToolError } from '../../common/tool-error.js';

/** One file of a root, as it stands there: links are not followed. */
export interface TreeFile {
  /** From the root, e.g. `/etc/passwd`. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink' | 'device' | 'other';
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Where a symbolic link points; undefined for all others. */
  readonly target?: string;
  /** Whether the file has capabilities of its own; undefined when that cannot be seen. */
  readonly hasCapabilities: boolean | undefined;
  /** The whole contents of a file. */
  read(): Promise<Uint8Array>;
}

/** As many as Linux follows. */
const MAX_LINKS = 40;
/** Files that audits read are small: units, tables, lists of accounts. */
const MAX_READ_BYTES = 16 * 1024 * 1024;

/** Every file of a root by its path. Links are followed inside the root only. */
export class FileTree {
  readonly #files: ReadonlyMap<string, TreeFile>;
  readonly #children = new Map<string, string[]>();

  constructor(files: readonly TreeFile[]) {
    this.#files = new Map(files.map((file) => [file.path, file]));
    for (const { path } of files) {
      if (path === '/') continue;
      const parent = posix.dirname(path);
      const names = this.#children.get(parent);
      if (names === undefined) this.#children.set(parent, [posix.basename(path)]);
      else names.push(posix.basename(path));
    }
    for (const names of this.#children.values()) names.sort();
  }

  /** The same files, one folder further down, but for those below `kept`. */
  below(folder: string, kept: string): FileTree {
    const place = (path: string): string => {
      if (path === '/') return folder;
      return path === kept || path.startsWith(`${kept}/`) ? path : `${folder}${path}`;
    };
    const placed = [...this.#files.values()].map((file) => ({ ...file, path: place(file.path) }));
    const root = this.#files.get('/');
    return new FileTree(root === undefined ? placed : [root, ...placed]);
  }

  /** Every file, links as links. */
  all(): IterableIterator<TreeFile> {
    return this.#files.values();
  }

  /** The file at this path, which may be a link. Links on the way to it are followed. */
  entry(path: string): TreeFile | undefined {
    const parent = this.resolve(posix.dirname(path));
    return parent === undefined
      ? undefined
      : this.#files.get(posix.join(parent.path, posix.basename(path)));
  }

  /** The file that a path leads to, with every link followed, or undefined. */
  resolve(path: string): TreeFile | undefined {
    return this.#files.get(this.where(path) ?? '');
  }

  /**
   * Where a path leads, whether or not something is there, e.g. `/dev/null` for a masked unit.
   * `..` at the root stays there. Undefined when links run in a circle.
   */
  where(path: string): string | undefined {
    let links = 0;
    let parts = path.split('/').filter((part) => part !== '');
    let at = '/';
    while (parts.length > 0) {
      const [part, ...rest] = parts as [string, ...string[]];
      parts = rest;
      if (part === '.') continue;
      if (part === '..') {
        at = posix.dirname(at);
        continue;
      }
      const next = posix.join(at, part);
      const target = this.#files.get(next)?.target;
      if (target === undefined) {
        at = next;
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      if (target.startsWith('/')) at = '/';
      parts = [...target.split('/').filter((name) => name !== ''), ...parts];
    }
    return at;
  }

  /** Names in a folder, sorted; none when there is no such folder. */
  names(path: string): readonly string[] {
    const folder = this.where(path);
    return folder === undefined ? [] : (this.#children.get(folder) ?? []);
  }

  /**
   * The text of the file that a path leads to; undefined when there is none. Throws
   * `file.too-large`, and what reading throws.
   */
  async text(path: string): Promise<string | undefined> {
    const file = this.resolve(path);
    if (file?.kind !== 'file') return undefined;
    if (file.sizeBytes > MAX_READ_BYTES)
      throw new ToolError('file.too-large', {
        expected: `${path}: at most ${MAX_READ_BYTES} bytes`,
        actual: `${file.sizeBytes}`,
      });
    return Buffer.from(await file.read()).toString();
  }

  /** Paths that match a pattern whose parts may be or hold `*`, links followed on the way. */
  glob(pattern: string): string[] {
    let found = ['/'];
    for (const part of pattern.split('/').filter((name) => name !== '')) {
      found = found.flatMap((folder) =>
        part.includes('*')
          ? this.names(folder)
              .filter((name) => matches(part, name))
              .map((name) => posix.join(folder, name))
          : [posix.join(folder, part)],
      );
    }
    return found.filter((path) => this.entry(path) !== undefined);
  }
}

/** Whether a name matches a pattern in which `*` stands for anything. */
export function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*');
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return pattern === name;
  if (!name.startsWith(first) || name.length < first.length + last.length) return false;
  if (!name.endsWith(last)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0 || found + part.length > name.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}
