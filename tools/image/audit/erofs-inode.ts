import type { ByteSource } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { readAt, viewOf } from '../disk/read-at.js';

/** What the superblock says that reading needs. Sizes in bytes. */
export interface ErofsLayout {
  readonly blockBytes: number;
  readonly metadataOffset: number;
  readonly sharedAttributesOffset: number;
  readonly rootNode: number;
  readonly nodes: number;
}

/** One inode. */
export interface ErofsInode {
  /** With the type of the file (inode(7)). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly hasCapabilities: boolean;
  /** The contents. Throws `erofs.unsupported` when they are compressed. */
  read(): Promise<Uint8Array>;
}

/** Layouts of the contents (Linux, fs/erofs/erofs_fs.h). */
const LAYOUTS = ['plain', 'compressed', 'inline', 'compressed', 'chunks'] as const;
const SLOT_BYTES = 32;
const ATTRIBUTE_HEADER_BYTES = 12;
/** Index of the prefix `security.` of extended attributes. */
const SECURITY = 6;
const MAX_ATTRIBUTES = 64;

/** Reads the inode with this number. Throws `erofs.malformed`, `erofs.unsupported`. */
export async function readInode(
  source: ByteSource,
  layout: ErofsLayout,
  node: number,
): Promise<ErofsInode> {
  const offset = layout.metadataOffset + node * SLOT_BYTES;
  const compact = viewOf(await take(source, offset, SLOT_BYTES, `inode ${node}`));
  const format = compact.getUint16(0, true);
  const isExtended = (format & 1) === 1;
  const view = isExtended
    ? viewOf(await take(source, offset, 2 * SLOT_BYTES, `inode ${node}`))
    : compact;
  const kind = LAYOUTS[(format >> 1) & 7];
  if (kind === undefined || format >> 4 !== 0)
    throw unsupported('inodes as of Linux 6.1', `format ${format}`);
  const sizeBytes = isExtended ? safe(view.getBigUint64(8, true)) : view.getUint32(8, true);
  const attributeCount = view.getUint16(2, true);
  const attributeBytes =
    attributeCount === 0 ? 0 : ATTRIBUTE_HEADER_BYTES + 4 * (attributeCount - 1);
  const attributesOffset = offset + view.byteLength;
  const contents = {
    ...{ kind, sizeBytes, blockBytes: layout.blockBytes, what: `inode ${node}` },
    blockOffset: view.getUint32(16, true) * layout.blockBytes,
    inlineOffset: attributesOffset + attributeBytes,
  };
  return {
    mode: view.getUint16(4, true),
    uid: isExtended ? view.getUint32(24, true) : view.getUint16(24, true),
    gid: isExtended ? view.getUint32(28, true) : view.getUint16(26, true),
    sizeBytes,
    hasCapabilities:
      attributeBytes > 0 &&
      (await hasCapabilities(source, layout, attributesOffset, attributeBytes)),
    read: () => readContents(source, contents),
  };
}

interface Contents {
  readonly kind: (typeof LAYOUTS)[number];
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly blockOffset: number;
  readonly inlineOffset: number;
  readonly what: string;
}

async function readContents(source: ByteSource, contents: Contents): Promise<Uint8Array> {
  const { kind, sizeBytes, blockBytes, blockOffset, inlineOffset, what } = contents;
  if (sizeBytes > source.size) throw malformed('contents inside the image', `${sizeBytes} bytes`);
  if (kind === 'plain') return take(source, blockOffset, sizeBytes, what);
  if (kind !== 'inline') throw unsupported('contents as they are', `${what}: ${kind}`);
  // The last block, whole or not, stands behind the inode, inside the inode's block.
  const blocks = Math.max(0, Math.ceil(sizeBytes / blockBytes) - 1) * blockBytes;
  const tail = sizeBytes - blocks;
  if ((inlineOffset % blockBytes) + tail > blockBytes)
    throw malformed(`${what}: an end inside its block`, `${tail} bytes at ${inlineOffset}`);
  const bytes = new Uint8Array(sizeBytes);
  if (blocks > 0) bytes.set(await take(source, blockOffset, blocks, what));
  bytes.set(await take(source, inlineOffset, tail, what), blocks);
  return bytes;
}

/** Whether one of the extended attributes is `security.capability`. */
async function hasCapabilities(
  source: ByteSource,
  { sharedAttributesOffset }: ErofsLayout,
  offset: number,
  length: number,
): Promise<boolean> {
  const bytes = await take(source, offset, length, 'attributes');
  const view = viewOf(bytes);
  const shared = view.getUint8(4);
  let at = ATTRIBUTE_HEADER_BYTES + 4 * shared;
  if (shared > MAX_ATTRIBUTES || at > length)
    throw malformed('attributes inside the inode', `${shared} shared ones`);
  for (let i = 0; i < shared; i++) {
    const id = view.getUint32(ATTRIBUTE_HEADER_BYTES + 4 * i, true);
    const head = await take(source, sharedAttributesOffset + 4 * id, 4, 'shared attribute');
    const nameBytes = head[0] as number;
    const name = await take(source, sharedAttributesOffset + 4 * id + 4, nameBytes, 'attribute');
    if (head[1] === SECURITY && isCapability(name)) return true;
  }
  while (at + 4 <= length) {
    const nameBytes = view.getUint8(at);
    const end = at + 4 + nameBytes + view.getUint16(at + 2, true);
    if (end > length) throw malformed('attributes inside the inode', 'one that is longer');
    const name = bytes.subarray(at + 4, at + 4 + nameBytes);
    if (view.getUint8(at + 1) === SECURITY && isCapability(name)) return true;
    at = Math.ceil(end / 4) * 4;
  }
  return false;
}

const isCapability = (name: Uint8Array): boolean => Buffer.from(name).toString() === 'capability';

/** Bytes of the file system. Throws `erofs.malformed`. */
export function take(
  source: ByteSource,
  offset: number,
  length: number,
  what: string,
): Promise<Uint8Array> {
  return readAt(source, offset, length, what, 'erofs.malformed');
}

/** A number of 64 bits that is a size or a place. Throws `erofs.malformed`. */
export function safe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('a size below 2^53', `${value}`);
  return Number(value);
}

/** An error for what no erofs has. */
export function malformed(expected: string, actual: string): ToolError {
  return new ToolError('erofs.malformed', { expected, actual });
}

/** An error for what this reader does not know. */
export function unsupported(expected: string, actual: string): ToolError {
  return new ToolError('erofs.unsupported', { expected, actual });
}
