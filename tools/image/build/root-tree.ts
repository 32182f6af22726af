import { printable } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';

/** One file of a root, as it will stand in the image. */
export interface RootEntry {
  /** Below the root, without a slash in front; the root itself is ''. One character a byte. */
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'symlink' | 'character-device' | 'block-device';
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file its bytes, of a symbolic link the bytes of its target; otherwise 0. */
  readonly sizeBytes: number;
  /** Where a symbolic link points. One character a byte. */
  readonly target?: string;
  /** Number of a device, as the kernel encodes it in 32 bits. */
  readonly device?: number;
}

/** What may be in a root though it is dangerous. Paths below the root. */
export interface RootPolicy {
  readonly allowSetuid: readonly string[];
  readonly allowDevice: readonly string[];
}

/** Owners of compact inodes have 16 bits. */
const MAX_ID = 65_535;
const SETUID_OR_SETGID = 0o6000;

/** Throws `root.setuid`, `root.device`, `root.owner-unsupported`. */
export function checkPolicy(entries: readonly RootEntry[], policy: RootPolicy): void {
  const allowSetuid = new Set(policy.allowSetuid.map(withoutSlash));
  const allowDevice = new Set(policy.allowDevice.map(withoutSlash));
  for (const { path, kind, mode, uid, gid } of entries) {
    const isProgram = kind === 'file' && (mode & SETUID_OR_SETGID) !== 0;
    if (isProgram && !allowSetuid.has(path)) {
      const modeText = mode.toString(8).padStart(4, '0');
      throw new ToolError('root.setuid', { actual: `/${printable(path)} (mode ${modeText})` });
    }
    if (kind.endsWith('device') && !allowDevice.has(path))
      throw new ToolError('root.device', { actual: `/${printable(path)}` });
    if (uid > MAX_ID || gid > MAX_ID)
      throw new ToolError('root.owner-unsupported', {
        expected: `0 to ${MAX_ID}`,
        actual: `/${printable(path)}: ${uid}:${gid}`,
      });
  }
}

/** A list by which images with different roots get different names. By the bytes of the paths. */
export function listingOf(entries: readonly RootEntry[]): string {
  const lines = sortByPath(entries).map(({ path, kind, mode, uid, gid, sizeBytes, ...rest }) =>
    JSON.stringify([path, kind, mode, uid, gid, sizeBytes, rest.target ?? '', rest.device ?? 0]),
  );
  return lines.join('\n');
}

/** A folder always comes before what it holds. */
export function sortByPath(entries: readonly RootEntry[]): RootEntry[] {
  return [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/**
 * 755 for folders and what its owner may run, 644 for other files: the umask of whoever made the
 * tree must not show. Setuid and setgid of files stay; `checkPolicy` decides about them.
 */
export function normalMode(isDirectory: boolean, mode: number): number {
  const isExecutable = isDirectory || (mode & 0o100) !== 0;
  return (isExecutable ? 0o755 : 0o644) | (isDirectory ? 0 : mode & SETUID_OR_SETGID);
}

/** The kernel's encoding of a device number in 32 bits (new_encode_dev). */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

const withoutSlash = (path: string): string =>
  Buffer.from(path.replace(/^\/+/, '')).toString('latin1');
