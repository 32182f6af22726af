import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { ByteSource } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { CpioStream } from '../../eif/cpio-stream.js';
import { readCpio } from '../../eif/read-cpio.js';
import { FileTree, type TreeFile } from './file-tree.js';

/** What was read of an initrd, and what was not. */
export interface Initrd {
  readonly tree: FileTree;
  /** Why a part was not read, e.g. that it is compressed by zstd; undefined when all of it was. */
  readonly unread: string | undefined;
}

const HEADER_BYTES = 110;
const MAX_UNPACKED_BYTES = 2 * 1024 * 1024 * 1024;
/** Larger files are no texts: only their names count. */
const MAX_TEXT_BYTES = 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const MAX_PLAIN_ENTRIES = 1_000_000;
const OTHERS: readonly (readonly [name: string, magic: string])[] = [
  ['zstd', '28b52ffd'],
  ['xz', 'fd377a585a00'],
  ['lz4', '02214c18'],
  ['lz4', '04224d18'],
  ['bzip2', '425a68'],
  ['lzo', '894c5a4f'],
  ['lzma', '5d0000'],
];

/**
 * Reads the files of an initrd as the kernel unpacks it: archives (cpio newc) one after the other, the
 * last of them plain or compressed by gzip. Throws `ramdisk.*`.
 */
export async function readInitrd(source: ByteSource): Promise<Initrd> {
  const files = new Map<string, TreeFile>();
  const packedAt = await endOfPlainArchives(source);
  if (packedAt > 0) await collect(files, pieces(source, 0, packedAt));
  const rest = Buffer.from(await source.read(packedAt, 6)).toString('hex');
  const isPacked = rest.startsWith('1f8b');
  if (isPacked) await collect(files, gunzip(pieces(source, packedAt, source.size)));
  const other = OTHERS.find(([, magic]) => rest.startsWith(magic))?.[0];
  const unread = rest === '' || isPacked ? undefined : (other ?? 'an unknown method');
  return {
    tree: new FileTree([...files.values()]),
    unread: unread === undefined ? undefined : `it is compressed by ${unread}`,
  };
}

/** Adds the files of plain archives; what comes later replaces what was there. */
async function collect(
  files: Map<string, TreeFile>,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  const stream = new CpioStream(chunks, MAX_UNPACKED_BYTES);
  await readCpio(stream, async ({ path, kind, mode, sizeBytes }) => {
    const isKept = kind === 'symlink' || sizeBytes <= MAX_TEXT_BYTES;
    const parts: Uint8Array[] = [];
    for await (const part of stream.parts(sizeBytes)) if (isKept) parts.push(part.slice());
    const bytes = Buffer.concat(parts);
    const name = Buffer.from(path, 'latin1').toString();
    const file = {
      path: name === '' ? '/' : `/${name}`,
      kind: kind === 'special' ? ('device' as const) : kind,
      ...{ mode, uid: 0, gid: 0, sizeBytes, hasCapabilities: false },
      read: async () => bytes,
    };
    files.set(file.path, kind === 'symlink' ? { ...file, target: bytes.toString() } : file);
  });
}

/** Where plain archives end, and a compressed one begins; the source's size when there is none. */
async function endOfPlainArchives(source: ByteSource): Promise<number> {
  let at = 0;
  for (let count = 0; count < MAX_PLAIN_ENTRIES && at < source.size; count++) {
    const head = Buffer.from(await source.read(at, HEADER_BYTES)).toString('latin1');
    if (!head.startsWith('070701')) {
      // Zeros stand between archives; the kernel skips them.
      const piece = Buffer.from(await source.read(at, 4096));
      const next = piece.findIndex((byte) => byte !== 0);
      if (next === 0) return at;
      at += next < 0 ? piece.length : next;
      continue;
    }
    const field = (index: number): number =>
      Number.parseInt(head.slice(6 + 8 * index, 14 + 8 * index), 16);
    const pad = (offset: number): number => Math.ceil(offset / 4) * 4;
    const next = pad(pad(at + HEADER_BYTES + field(11)) + field(6));
    if (!Number.isSafeInteger(next)) return source.size;
    at = next;
  }
  return Math.min(at, source.size);
}

async function* pieces(source: ByteSource, from: number, to: number): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; at += CHUNK_BYTES)
    yield await source.read(at, Math.min(CHUNK_BYTES, to - at));
}

async function* gunzip(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unpacked = createGunzip();
  // Hands errors of the source on; they come out of the loop.
  pipeline(Readable.from(packed), unpacked, () => undefined);
  try {
    yield* unpacked as AsyncIterable<Uint8Array>;
  } catch (cause) {
    if (!/^(Z_|ERR_)/.test(String((cause as { code?: unknown }).code))) throw cause;
    throw new ToolError('ramdisk.malformed', { expected: 'gzip', actual: `${cause}`, cause });
  }
}
