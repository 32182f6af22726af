import { ToolError } from '../common/tool-error.js';
import { type CpioEntry, contentBytes } from './cpio-entry.js';
import { type Pieces, readPieces } from './read-pieces.js';

const TRAILER = 'TRAILER!!!';
const FORMAT = { directory: 0o040000, file: 0o100000, symlink: 0o120000 } as const;
/** Sizes have eight hex digits. */
const MAX_FILE_BYTES = 0xffffffff;
/** PATH_MAX of Linux, without the NUL: the kernel skips longer names. */
const MAX_PATH_BYTES = 4095;

/**
 * A cpio archive (newc, Linux "initramfs buffer format") of these entries in this order: owner 0,
 * time 0, device 0, inode numbers counted from 1, so that the bytes depend on nothing else. The
 * contents of a file with several names stand at its last name, as GNU cpio does it.
 * Throws `build.name-invalid`, `build.file-too-large`, `build.entry-duplicate`, and what reading
 * throws.
 */
export function* writeCpio(entries: readonly CpioEntry[]): Pieces {
  checkNames(entries);
  const links = new Map<string, { inode: number; count: number; left: number }>();
  for (const { link } of entries) {
    if (link === undefined) continue;
    const known = links.get(link) ?? { inode: 0, count: 0, left: 0 };
    links.set(link, { ...known, count: known.count + 1, left: known.left + 1 });
  }
  let inode = 0;
  for (const entry of entries) {
    const group = entry.link === undefined ? undefined : links.get(entry.link);
    if (group === undefined) inode++;
    else if (group.inode === 0) group.inode = ++inode;
    const isLast = group === undefined || --group.left === 0;
    const size = isLast ? contentBytes(entry) : 0;
    yield header(entry.path, {
      inode: group?.inode ?? inode,
      mode: FORMAT[entry.kind] | entry.mode,
      links: entry.kind === 'directory' ? 2 : (group?.count ?? 1),
      size,
    });
    if (isLast) yield* contentsOf(entry);
    if (size % 4 !== 0) yield new Uint8Array(4 - (size % 4));
  }
  yield header(TRAILER, { inode: 0, mode: 0, links: 1, size: 0 });
}

function* contentsOf({ contents, target }: CpioEntry): Pieces {
  if (target !== undefined) yield Buffer.from(target, 'latin1');
  else if (contents !== undefined && 'bytes' in contents) yield contents.bytes;
  else if (contents !== undefined)
    yield* readPieces({ path: contents.file, sizeBytes: contents.sizeBytes, strict: true });
}

interface HeaderFields {
  readonly inode: number;
  readonly mode: number;
  readonly links: number;
  readonly size: number;
}

function header(path: string, { inode, mode, links, size }: HeaderFields): Buffer {
  const fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, path.length + 1, 0];
  const text = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  const bytes = Buffer.from(`070701${text}${path}\0`, 'latin1');
  const padding = (4 - (bytes.length % 4)) % 4;
  return padding === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(padding)]);
}

function checkNames(entries: readonly CpioEntry[]): void {
  const seen = new Set<string>();
  for (const entry of entries) {
    const { path } = entry;
    const shown = (): string =>
      JSON.stringify(Buffer.from(path, 'latin1').toString().slice(0, 200));
    const parts = path.split('/');
    const isBad = parts.some((part) => part === '' || part === '.' || part === '..');
    // The kernel takes an entry of this name for the end of the archive.
    if (isBad || path.includes('\0') || path === TRAILER || path.length > MAX_PATH_BYTES)
      throw new ToolError('build.name-invalid', {
        expected: `a relative path of at most ${MAX_PATH_BYTES} bytes, not ${TRAILER}`,
        actual: shown(),
      });
    if (contentBytes(entry) > MAX_FILE_BYTES)
      throw new ToolError('build.file-too-large', {
        expected: 'files of less than 4 GiB',
        actual: `${shown()}: ${contentBytes(entry)} bytes`,
      });
    if (seen.has(path)) throw new ToolError('build.entry-duplicate', { actual: shown() });
    seen.add(path);
  }
}
