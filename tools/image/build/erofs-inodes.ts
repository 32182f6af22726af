import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { printable } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { crc32c } from '../signing/crc32c.js';
import type { RootEntry } from './root-tree.js';

const SUPERBLOCK = 1024;
const MAGIC = 0xe0f5e1e2;
const SLOT_BYTES = 32;
const DIRENT_BYTES = 12;
const SB_CHECKSUM = 1;
const TYPES: Readonly<Record<RootEntry['kind'], number>> = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  'character-device': 0o020000,
  'block-device': 0o060000,
};

/**
 * Gives every file of an erofs file system that mkfs.erofs just made the mode, owner and device
 * number that it shall have (Linux, fs/erofs/erofs_fs.h). So a build needs neither root's rights nor
 * a copy of the tree. What stands there must be what was planned, else the tree changed meanwhile.
 *
 * Throws `root.changed`; `host.tool-failed` for an erofs of a form that is not known.
 */
export function settleInodes(path: string, entries: readonly RootEntry[]): void {
  const file = openSync(path, 'r+');
  try {
    new ErofsFile(file, new Map(entries.map((entry) => [entry.path, entry]))).settle();
  } finally {
    closeSync(file);
  }
}

/** An inode that was read. */
interface Inode {
  readonly offset: number;
  readonly bytes: Buffer;
  readonly isExtended: boolean;
  readonly layout: number;
  readonly sizeBytes: number;
}

class ErofsFile {
  readonly #file: number;
  readonly #size: number;
  readonly #planned: ReadonlyMap<string, RootEntry>;
  readonly #blockBytes: number;
  readonly #inodesOffset: number;
  readonly #root: number;
  #found = 0;
  readonly #done = new Set<number>();

  constructor(file: number, planned: ReadonlyMap<string, RootEntry>) {
    this.#file = file;
    this.#size = fstatSync(file).size;
    this.#planned = planned;
    const head = this.#read(SUPERBLOCK, 128);
    if (head.readUInt32LE(0) !== MAGIC) unknownForm('another magic number');
    this.#blockBytes = 2 ** head.readUInt8(12);
    this.#root = head.readUInt16LE(14);
    this.#inodesOffset = head.readUInt32LE(40) * this.#blockBytes;
  }

  settle(): void {
    this.#visit(this.#root, '');
    if (this.#found !== this.#planned.size)
      changed(`${this.#planned.size} files`, `${this.#found}`);
    this.#updateChecksum();
  }

  #visit(node: number, path: string): void {
    const entry = this.#planned.get(path);
    if (entry === undefined) changed('the files found before', `/${printable(path)} too`);
    this.#found++;
    const inode = this.#inode(node);
    this.#settle(inode, node, entry);
    if (entry.kind !== 'directory') return;
    for (const [name, child] of this.#names(inode))
      this.#visit(child, path === '' ? name : `${path}/${name}`);
  }

  #settle({ offset, bytes, isExtended, sizeBytes }: Inode, node: number, entry: RootEntry): void {
    const { kind, uid, gid } = entry;
    const before = bytes.readUInt16LE(4) & 0o170000;
    // A device of an archive stands in the tree as an empty file: only root may make real ones.
    const isPlaced =
      before === TYPES[kind] || (entry.device !== undefined && before === TYPES.file);
    const isSized = kind === 'directory' || sizeBytes === entry.sizeBytes;
    if (!isPlaced || !isSized)
      changed(
        `/${printable(entry.path)}: ${kind} of ${entry.sizeBytes} bytes`,
        `${sizeBytes} bytes`,
      );
    const changedBytes = Buffer.from(bytes);
    changedBytes.writeUInt16LE(TYPES[kind] | entry.mode, 4);
    if (entry.device !== undefined) changedBytes.writeUInt32LE(entry.device, 16);
    if (isExtended) {
      changedBytes.writeUInt32LE(uid, 24);
      changedBytes.writeUInt32LE(gid, 28);
    } else {
      changedBytes.writeUInt16LE(uid, 24);
      changedBytes.writeUInt16LE(gid, 26);
    }
    if (changedBytes.equals(bytes)) return;
    // Names of one file (hard links) share its inode.
    if (this.#done.has(node))
      changed(`/${printable(entry.path)} with the mode of its other names`, 'another');
    writeSync(this.#file, changedBytes, 0, changedBytes.length, offset);
    this.#done.add(node);
  }

  #inode(node: number): Inode {
    const offset = this.#inodesOffset + node * SLOT_BYTES;
    const compact = this.#read(offset, SLOT_BYTES);
    const format = compact.readUInt16LE(0);
    const isExtended = (format & 1) === 1;
    const bytes = isExtended ? this.#read(offset, 2 * SLOT_BYTES) : compact;
    if (bytes.readUInt16LE(2) !== 0) unknownForm('extended attributes');
    const sizeBytes = isExtended ? Number(bytes.readBigUInt64LE(8)) : bytes.readUInt32LE(8);
    return { offset, bytes, isExtended, layout: (format >> 1) & 7, sizeBytes };
  }

  /** Names and inode numbers in a folder. */
  *#names(inode: Inode): Generator<[string, number]> {
    const contents = this.#contents(inode);
    for (let start = 0; start < contents.length; start += this.#blockBytes) {
      const block = contents.subarray(start, start + this.#blockBytes);
      const count = Math.floor(block.readUInt16LE(8) / DIRENT_BYTES);
      for (let i = 0; i < count; i++) {
        const at = i * DIRENT_BYTES;
        const from = block.readUInt16LE(at + 8);
        const end = i + 1 < count ? block.readUInt16LE(at + DIRENT_BYTES + 8) : block.length;
        const name = block.toString('latin1', from, end).replace(/\0.*$/s, '');
        if (name !== '.' && name !== '..') yield [name, Number(block.readBigUInt64LE(at))];
      }
    }
  }

  #contents({ offset, bytes, layout, sizeBytes }: Inode): Buffer {
    const start = bytes.readUInt32LE(16) * this.#blockBytes;
    if (layout === 0) return this.#read(start, sizeBytes);
    if (layout !== 2) return unknownForm(`a folder of layout ${layout}`);
    // The last block stands behind the inode.
    const whole = Math.max(0, Math.ceil(sizeBytes / this.#blockBytes) - 1) * this.#blockBytes;
    return Buffer.concat([
      whole === 0 ? Buffer.alloc(0) : this.#read(start, whole),
      this.#read(offset + bytes.length, sizeBytes - whole),
    ]);
  }

  /** The superblock's checksum covers its whole block, and inodes stand there too. */
  #updateChecksum(): void {
    const block = this.#read(SUPERBLOCK, this.#blockBytes - SUPERBLOCK);
    if ((block.readUInt32LE(8) & SB_CHECKSUM) === 0) return;
    block.writeUInt32LE(0, 4);
    block.writeUInt32LE((crc32c(block) ^ 0xffffffff) >>> 0, 4); // without the last inversion
    writeSync(this.#file, block, 0, 8, SUPERBLOCK);
  }

  #read(offset: number, length: number): Buffer {
    const isInside = length >= 0 && offset + length <= this.#size;
    const bytes = Buffer.alloc(isInside ? length : 0);
    if (!isInside || readSync(this.#file, bytes, 0, length, offset) !== length)
      unknownForm(`${length} bytes at ${offset}`);
    return bytes;
  }
}

function changed(expected: string, actual: string): never {
  throw new ToolError('root.changed', { expected, actual });
}

function unknownForm(actual: string): never {
  throw new ToolError('host.tool-failed', {
    expected: 'an erofs without compression and attributes from mkfs.erofs',
    actual,
  });
}
