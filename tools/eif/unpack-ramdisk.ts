import { constants, createReadStream } from 'node:fs';
import { link, mkdir, open, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { printable } from 'tee-verify/measure';
import type { PieceStream } from '../common/piece-stream.js';
import { ToolError } from '../common/tool-error.js';
import { writing } from './file-errors.js';
import { type ArchiveEntry, cpioStream, readCpio } from './read-cpio.js';
import type { FilePart } from './read-pieces.js';

/** What was unpacked, and what was left out. */
export interface UnpackedRamdisk {
  readonly entries: number;
  /** Devices, sockets and pipes: counted, not made. */
  readonly skipped: readonly string[];
}

/** With the folders that only stand in the names of others. */
const MAX_NAMES = 1_000_000;
const OTHER_COMPRESSIONS: readonly (readonly [name: string, magic: string])[] = [
  ['zstd', '28b52ffd'],
  ['xz', 'fd377a585a00'],
  ['lz4', '02214c18'],
  ['lz4', '04224d18'],
  ['bzip2', '425a68'],
];

/**
 * Unpacks a ramdisk (cpio newc, plain or gzip) into a folder that is made here and must not exist.
 *
 * Nothing is written outside: names are checked, a parent must be a folder of the archive, no name
 * is written twice, and symbolic links are made last, when nothing is written any more. They point
 * where the archive says; so never write through an unpacked tree as root. Owners, times and
 * set-user-ID bits are left out. Throws `ramdisk.*`, `file.unwritable`.
 */
export async function unpackRamdisk(
  part: FilePart,
  target: string,
  maxBytes: number,
): Promise<UnpackedRamdisk> {
  const { offset = 0, sizeBytes } = part;
  if (sizeBytes === 0)
    throw new ToolError('ramdisk.truncated', { expected: 'an archive', actual: 'nothing' });
  const raw = createReadStream(part.path, { start: offset, end: offset + sizeBytes - 1 });
  const [first, chunks] = await peek(raw);
  const magic = Buffer.from(first.subarray(0, 8)).toString('hex');
  const other = OTHER_COMPRESSIONS.find(([, start]) => magic.startsWith(start));
  if (other !== undefined)
    throw new ToolError('ramdisk.unsupported', { expected: 'cpio or gzip', actual: other[0] });
  const stream = cpioStream(magic.startsWith('1f8b') ? gunzip(chunks) : chunks, maxBytes);
  const tree = new TargetTree(target);
  try {
    await writing(target, () => mkdir(target));
    await readCpio(stream, (entry) => tree.add(entry, stream));
    await tree.finish();
  } finally {
    await stream.close();
    raw.destroy();
  }
  return { entries: tree.count, skipped: tree.skipped };
}

/** The folder that is filled: what stands where, as the archive says, not as the disk says. */
class TargetTree {
  readonly skipped: string[] = [];
  count = 0;
  readonly #target: string;
  readonly #kinds = new Map<string, ArchiveEntry['kind']>([['', 'directory']]);
  readonly #symlinks: (readonly [path: string, target: Buffer])[] = [];
  readonly #links = new Map<string, { names: string[]; holder?: string }>();

  constructor(target: string) {
    this.#target = target;
  }

  async add(entry: ArchiveEntry, stream: PieceStream): Promise<void> {
    const { path, kind } = entry;
    this.count++;
    await this.#makeParents(path);
    if (kind === 'directory') return this.#makeFolder(path);
    if (this.#kinds.has(path)) throw new ToolError('ramdisk.duplicate', { actual: shown(path) });
    this.#kinds.set(path, kind);
    if (kind === 'special') this.skipped.push(shown(path));
    else if (kind === 'symlink') await this.#keepSymlink(entry, stream);
    else await this.#writeFile(entry, stream);
  }

  /** Hard links first, then symbolic links: from here on nothing is written through a path. */
  async finish(): Promise<void> {
    for (const { names, holder } of this.#links.values()) {
      const [first, ...others] = holder === undefined ? names : [holder, ...names];
      if (holder === undefined) await this.#create(first as string, 0o644, undefined);
      for (const name of others)
        await writing(shown(name), () => link(this.#at(first as string), this.#at(name)));
    }
    for (const [path, target] of this.#symlinks)
      await writing(shown(path), () => symlink(target, this.#at(path)));
  }

  async #makeParents(path: string): Promise<void> {
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (this.#kinds.get(parent) === 'directory') return;
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1))
      await this.#makeFolder(path.slice(0, slash));
  }

  async #makeFolder(path: string): Promise<void> {
    const kind = this.#kinds.get(path);
    if (kind === 'directory') return;
    if (kind !== undefined)
      throw new ToolError('ramdisk.path-escape', {
        expected: `${shown(path)} to be a folder`,
        actual: `a ${kind}`,
      });
    this.#kinds.set(path, 'directory');
    if (this.#kinds.size > MAX_NAMES)
      throw new ToolError('ramdisk.too-large', { actual: `more than ${MAX_NAMES} names` });
    await writing(shown(path), () => mkdir(this.#at(path), 0o755));
  }

  async #keepSymlink({ path, sizeBytes }: ArchiveEntry, stream: PieceStream): Promise<void> {
    if (sizeBytes === 0 || sizeBytes > 4095)
      throw new ToolError('ramdisk.malformed', {
        expected: `${shown(path)}: a symbolic link of 1 to 4095 bytes`,
        actual: `${sizeBytes}`,
      });
    const target = await stream.take(sizeBytes);
    if (target.includes(0))
      throw new ToolError('ramdisk.malformed', {
        expected: `${shown(path)}: a symbolic link without NUL`,
        actual: 'one',
      });
    this.#symlinks.push([path, target]);
  }

  async #writeFile(entry: ArchiveEntry, stream: PieceStream): Promise<void> {
    const { path, mode, sizeBytes, link: group } = entry;
    if (group !== undefined) {
      const known = this.#links.get(group) ?? { names: [] };
      this.#links.set(group, known);
      // The contents stand at one of the names; where they don't stand, a link is made at the end.
      if (sizeBytes === 0) {
        known.names.push(path);
        return;
      }
      if (known.holder !== undefined)
        throw new ToolError('ramdisk.duplicate', { actual: `${shown(path)}: contents twice` });
      known.holder = path;
    }
    await this.#create(path, mode, stream.parts(sizeBytes));
  }

  /** A new file; what is there already is never opened, nor a symbolic link followed. */
  async #create(
    path: string,
    mode: number,
    contents: AsyncIterable<Uint8Array> | undefined,
  ): Promise<void> {
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const flags = O_WRONLY | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0);
    const file = await writing(shown(path), () => open(this.#at(path), flags, 0o600));
    try {
      for await (const part of contents ?? [])
        await writing(shown(path), () => file.writeFile(part));
      await writing(shown(path), () => file.chmod((mode & 0o755) | 0o600));
    } finally {
      await file.close();
    }
  }

  /** Names are bytes: as text some could not be told apart. */
  #at(path: string): Buffer {
    return Buffer.concat([Buffer.from(join(this.#target, '/')), Buffer.from(path, 'latin1')]);
  }
}

/** The first chunk (empty at the end), and all of them. */
async function peek(
  stream: AsyncIterable<Uint8Array>,
): Promise<[first: Uint8Array, all: AsyncIterable<Uint8Array>]> {
  const iterator = stream[Symbol.asyncIterator]();
  const { done = false, value } = await iterator.next();
  async function* all(): AsyncGenerator<Uint8Array> {
    if (!done) yield value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return [done ? new Uint8Array() : value, all()];
}

async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = Readable.from(chunks);
  const unzip = createGunzip();
  source.on('error', (error) => unzip.destroy(error));
  try {
    for await (const chunk of source.pipe(unzip)) yield chunk as Uint8Array;
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    throw new ToolError('ramdisk.malformed', { expected: 'gzip', actual: 'damaged gzip', cause });
  } finally {
    source.destroy();
    unzip.destroy();
  }
}

function shown(path: string): string {
  return `"${printable(Buffer.from(path, 'latin1').toString(), 200)}"`;
}
