import { pipeline, Readable } from 'node:stream';
import { createInflateRaw } from 'node:zlib';
import type { ByteSource } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { cpioStream, readCpio } from '../../eif/read-cpio.js';
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
const MAX_SEGMENTS = 64;
/** As many as Linux follows. */
const MAX_LINKS = 40;
const MAX_GZIP_HEADER = 64 * 1024;
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
 * Reads the files of an initrd as the kernel unpacks it: archives (cpio newc) one after the other,
 * plain or compressed by gzip, with zeros between them. Throws `ramdisk.*`.
 */
export async function readInitrd(source: ByteSource): Promise<Initrd> {
  const files = new Map<string, TreeFile>();
  let unread: string | undefined;
  let at = await skipZeros(source, 0);
  for (let count = 0; at < source.size; count++) {
    if (count === MAX_SEGMENTS)
      throw new ToolError('ramdisk.too-large', { actual: `more than ${MAX_SEGMENTS} archives` });
    const magic = Buffer.from(await source.read(at, 6));
    const hex = magic.toString('hex');
    if (magic.toString('latin1') === '070701') {
      const end = await endOfPlainArchives(source, at);
      await collect(files, pieces(source, at, end));
      at = end;
    } else if (hex.startsWith('1f8b')) {
      const unpacked = await gunzip(source, at);
      await collect(files, unpacked.chunks);
      at = unpacked.end();
    } else {
      const other = OTHERS.find(([, start]) => hex.startsWith(start))?.[0];
      unread = `${at === 0 ? 'it' : `what begins at byte ${at}`} is compressed by ${other ?? 'an unknown method'}`;
      break;
    }
    at = await skipZeros(source, at);
  }
  return { tree: new FileTree([...files.values()]), unread };
}

/** Adds the files of archives; what comes later replaces what was there. */
async function collect(
  files: Map<string, TreeFile>,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  const stream = cpioStream(chunks, MAX_UNPACKED_BYTES);
  // Of a file with several names, one has the contents.
  const links = new Map<string, string[]>();
  await readCpio(stream, async ({ path, kind, mode, sizeBytes, link }) => {
    const isKept = kind === 'symlink' || sizeBytes <= MAX_TEXT_BYTES;
    const parts: Uint8Array[] = [];
    for await (const part of stream.parts(sizeBytes)) if (isKept) parts.push(part.slice());
    const bytes = Buffer.concat(parts);
    const name = Buffer.from(path, 'latin1').toString();
    const file = {
      path: placeOf(files, name),
      kind: kind === 'special' ? ('device' as const) : kind,
      ...{ mode, uid: 0, gid: 0, sizeBytes, hasCapabilities: false },
      read: async () => bytes,
    };
    files.set(file.path, kind === 'symlink' ? { ...file, target: bytes.toString() } : file);
    if (link === undefined) return;
    const names = [...(links.get(link) ?? []), file.path];
    links.set(link, names);
    if (sizeBytes > 0) for (const other of names) files.set(other, { ...file, path: other });
    else {
      const first = names.map((other) => files.get(other)).find((one) => (one?.sizeBytes ?? 0) > 0);
      if (first !== undefined) files.set(file.path, { ...first, path: file.path });
    }
  });
}

/** Where a file comes to be: the kernel follows links on the way to it. */
function placeOf(files: ReadonlyMap<string, TreeFile>, name: string): string {
  let links = 0;
  let at = '';
  let parts = name.split('/');
  while (parts.length > 1) {
    const [part, ...rest] = parts as [string, ...string[]];
    parts = rest;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
      continue;
    }
    const target = files.get(`${at}/${part}`)?.target;
    if (target === undefined || ++links > MAX_LINKS) at = `${at}/${part}`;
    else {
      if (target.startsWith('/')) at = '';
      parts = [...target.split('/'), ...parts];
    }
  }
  return `${at}/${parts[0] ?? ''}`;
}

/** Where something else than zeros begins. */
async function skipZeros(source: ByteSource, from: number): Promise<number> {
  for (let at = from; at < source.size; ) {
    const piece = Buffer.from(await source.read(at, Math.min(CHUNK_BYTES, source.size - at)));
    const next = piece.findIndex((byte) => byte !== 0);
    if (next >= 0) return at + next;
    at += piece.length;
  }
  return source.size;
}

/** Where plain archives end, and something else begins. */
async function endOfPlainArchives(source: ByteSource, from: number): Promise<number> {
  let at = from;
  for (let count = 0; count < MAX_PLAIN_ENTRIES && at < source.size; count++) {
    const head = Buffer.from(await source.read(at, HEADER_BYTES)).toString('latin1');
    if (!head.startsWith('070701')) {
      // Zeros stand between archives.
      const next = await skipZeros(source, at);
      if (next === at) return at;
      at = next;
      continue;
    }
    const field = (index: number): number =>
      Number.parseInt(head.slice(6 + 8 * index, 14 + 8 * index), 16);
    const pad = (offset: number): number => from + Math.ceil((offset - from) / 4) * 4;
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

interface Unpacked {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Where the compressed part ended, once its chunks were read. */
  end(): number;
}

/** One member of gzip (RFC 1952): Node's own reader does not say what stands behind it. */
async function gunzip(source: ByteSource, from: number): Promise<Unpacked> {
  const at = await endOfGzipHeader(source, from);
  const inflate = createInflateRaw();
  async function* chunks(): AsyncGenerator<Uint8Array> {
    // Hands errors of the source on; they come out of the loop.
    pipeline(Readable.from(pieces(source, at, source.size)), inflate, () => undefined);
    try {
      yield* inflate as AsyncIterable<Uint8Array>;
    } catch (cause) {
      if (!/^(Z_|ERR_)/.test(String((cause as { code?: unknown }).code))) throw cause;
      throw malformed(`${cause}`, cause);
    }
  }
  // Behind it: its checksum and its length.
  return { chunks: chunks(), end: () => Math.min(source.size, at + inflate.bytesWritten + 8) };
}

async function endOfGzipHeader(source: ByteSource, from: number): Promise<number> {
  const head = Buffer.from(await source.read(from, MAX_GZIP_HEADER));
  const flags = head[3] ?? 0;
  let at = 10;
  if ((flags & 4) !== 0 && head.length >= 12) at += 2 + head.readUInt16LE(10);
  for (const flag of [8, 16])
    if ((flags & flag) !== 0) {
      const end = head.indexOf(0, at);
      at = end < 0 ? head.length : end + 1;
    }
  if ((flags & 2) !== 0) at += 2;
  if (at >= head.length) throw malformed('a header without an end');
  return from + at;
}

const malformed = (actual: string, cause?: unknown): ToolError =>
  new ToolError('ramdisk.malformed', { expected: 'gzip', actual, cause });
