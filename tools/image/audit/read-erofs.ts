import type { ByteSource } from 'tee-verify/measure';
import { viewOf } from '../disk/read-at.js';
import { cachedSource } from './cached-source.js';
import {
  type ErofsInode,
  type ErofsLayout,
  malformed,
  readInode,
  safe,
  take,
  unsupported,
} from './erofs-inode.js';
import { FileTree, type TreeFile } from './file-tree.js';

const SUPERBLOCK_OFFSET = 1024;
const MAGIC = 0xe0f5e1e2;
/**
 * Incompatible features that change nothing here: the two of LZ4 concern compressed contents, which
 * `readInode` refuses one by one.
 */
const HARMLESS_FEATURES = 0x1 | 0x2;
const MAX_FILES = 2_000_000;
const MAX_DIRECTORY_BYTES = 64 * 1024 * 1024;
const MAX_PATH = 4096;
const DIRENT_BYTES = 12;
const KINDS: ReadonlyMap<number, TreeFile['kind']> = new Map([
  [0o040000, 'directory'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
  [0o020000, 'device'],
  [0o060000, 'device'],
  [0o010000, 'other'],
  [0o140000, 'other'],
]);

/**
 * Reads every file of an erofs file system (Linux, Documentation/filesystems/erofs.rst), strictly:
 * no name twice, no folder in two places. Contents are read when asked for; compressed ones are
 * refused then. Throws `erofs.malformed`, `erofs.unsupported`.
 */
export async function readErofs(image: ByteSource): Promise<FileTree> {
  const source = cachedSource(image);
  const layout = await readSuperblock(source);
  const files: TreeFile[] = [];
  const folders = new Set<number>();
  const visit = async (node: number, path: string): Promise<void> => {
    if (files.length >= MAX_FILES) throw malformed(`at most ${MAX_FILES} files`, 'more');
    const inode = await readInode(source, layout, node);
    const file = await toTreeFile(inode, path);
    files.push(file);
    if (file.kind !== 'directory') return;
    if (folders.has(node)) throw malformed('each folder at one place', `${path} at two`);
    folders.add(node);
    for (const [name, child] of await readDirectory(inode, layout, path))
      await visit(child, path === '/' ? `/${name}` : `${path}/${name}`);
  };
  await visit(layout.rootNode, '/');
  if (files[0]?.kind !== 'directory') throw malformed('a folder as the root', 'something else');
  return new FileTree(files);
}

/** Whether a source begins as an erofs file system does. */
export async function isErofs(source: ByteSource): Promise<boolean> {
  if (source.size < SUPERBLOCK_OFFSET + 128) return false;
  return viewOf(await source.read(SUPERBLOCK_OFFSET, 4)).getUint32(0, true) === MAGIC;
}

async function readSuperblock(source: ByteSource): Promise<ErofsLayout> {
  const view = viewOf(await take(source, SUPERBLOCK_OFFSET, 128, 'superblock'));
  const u32 = (at: number): number => view.getUint32(at, true);
  if (u32(0) !== MAGIC) throw malformed('the magic number of erofs', u32(0).toString(16));
  const blockBits = view.getUint8(12);
  if (blockBits < 9 || blockBits > 16)
    throw malformed('blocks of 512 to 65536 bytes', '2^n others');
  const features = u32(80);
  if ((features & ~HARMLESS_FEATURES) !== 0)
    throw unsupported(
      'no feature but plain and inline contents',
      `incompatible features 0x${features.toString(16)}`,
    );
  if (view.getUint16(86, true) !== 0) throw unsupported('one device', 'several');
  if (view.getUint8(90) !== 0) throw unsupported('folders in blocks', 'larger ones');
  const blockBytes = 2 ** blockBits;
  return {
    blockBytes,
    metadataOffset: u32(40) * blockBytes,
    sharedAttributesOffset: u32(44) * blockBytes,
    rootNode: view.getUint16(14, true),
    nodes: safe(view.getBigUint64(16, true)),
  };
}

async function toTreeFile(inode: ErofsInode, path: string): Promise<TreeFile> {
  const kind = KINDS.get(inode.mode & 0o170000);
  if (kind === undefined) throw malformed(`${path}: a type of file`, inode.mode.toString(8));
  const { uid, gid, sizeBytes, hasCapabilities, read } = inode;
  if (kind === 'symlink' && (sizeBytes === 0 || sizeBytes >= MAX_PATH))
    throw malformed(`${path}: a link of 1 to ${MAX_PATH - 1} bytes`, `${sizeBytes}`);
  const file = {
    path,
    kind,
    mode: inode.mode & 0o7777,
    uid,
    gid,
    sizeBytes,
    hasCapabilities,
    read,
  };
  return kind === 'symlink' ? { ...file, target: textOf(Buffer.from(await read())) } : file;
}

/** Names and inode numbers in a folder, without `.` and `..`. */
async function readDirectory(
  inode: ErofsInode,
  { blockBytes }: ErofsLayout,
  path: string,
): Promise<Map<string, number>> {
  const wrong = (actual: string): Error => malformed(`${path}: a list of names`, actual);
  if (inode.sizeBytes > MAX_DIRECTORY_BYTES) throw wrong(`${inode.sizeBytes} bytes`);
  const bytes = Buffer.from(await inode.read());
  const entries = new Map<string, number>();
  for (let start = 0; start < bytes.length; start += blockBytes) {
    const block = bytes.subarray(start, Math.min(start + blockBytes, bytes.length));
    // The first name stands behind the last entry.
    const namesAt = block.length < DIRENT_BYTES ? 0 : block.readUInt16LE(8);
    if (namesAt === 0 || namesAt % DIRENT_BYTES !== 0 || namesAt > block.length)
      throw wrong(`names at ${namesAt}`);
    for (let at = 0; at < namesAt; at += DIRENT_BYTES) {
      const from = block.readUInt16LE(at + 8);
      const isLast = at + DIRENT_BYTES === namesAt;
      const end = isLast ? endOfText(block, from) : block.readUInt16LE(at + DIRENT_BYTES + 8);
      if (from < namesAt || end <= from || end > block.length) throw wrong('a name outside');
      const name = textOf(block.subarray(from, end));
      if (name.includes('/') || name.includes('\0')) throw wrong(JSON.stringify(name));
      if (name === '.' || name === '..') continue;
      if (entries.has(name)) throw wrong(`${JSON.stringify(name)} twice`);
      if (path.length + name.length >= MAX_PATH) throw wrong('a path that is too long');
      entries.set(name, safe(block.readBigUInt64LE(at)));
    }
  }
  return entries;
}

function endOfText(block: Buffer, from: number): number {
  const end = block.indexOf(0, from);
  return end < 0 ? block.length : end;
}

/** UTF-8, or one character a byte where it is none: names must stay apart. */
function textOf(bytes: Buffer): string {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? text : bytes.toString('latin1');
}
