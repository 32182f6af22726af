import { createReadStream } from 'node:fs';
import { link, mkdir, open, symlink } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { printable } from 'tee-verify/measure';
import { openFile } from '../../common/file-source.js';
import { PieceStream } from '../../common/piece-stream.js';
import { ToolError } from '../../common/tool-error.js';
import { writing } from './output-folder.js';
import { readTar, type TarEntry } from './read-tar.js';
import type { RootEntry } from './root-tree.js';

const EMPTY_ROOT: RootEntry = {
  path: '',
  kind: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
};

/**
 * Unpacks an archive (plain or gzip; `-` for standard input) into a folder that is not there yet,
 * and says what stands in it. Modes, owners and device numbers are in what it says, not in the
 * folder: they need no rights. Folders that the archive leaves out are there with mode 755.
 *
 * Throws `file.unreadable`, `file.unwritable`, `tar.*`, `root.unsupported-file`.
 */
export async function unpackTar(path: string, folder: string): Promise<RootEntry[]> {
  const source = await openFile(path);
  try {
    const head = await source.read(0, 2);
    const isGzip = head[0] === 0x1f && head[1] === 0x8b;
    const file = createReadStream(source.path, { highWaterMark: 1024 * 1024 });
    const stream = new PieceStream(isGzip ? gunzip(file) : file, { truncated: 'tar.malformed' });
    const unpacked = new UnpackedTree(folder, stream);
    await writing(folder, () => mkdir(folder, { mode: 0o700 }));
    try {
      await readTar(stream, (entry) => unpacked.add(entry));
    } finally {
      file.destroy();
    }
    return unpacked.entries();
  } finally {
    await source.close();
  }
}

async function* gunzip(file: NodeJS.ReadableStream): AsyncGenerator<Uint8Array> {
  const stream = createGunzip();
  file.on('error', (error) => stream.destroy(error));
  try {
    yield* file.pipe(stream);
  } catch (cause) {
    throw new ToolError('tar.malformed', {
      expected: 'a whole gzip stream',
      actual: (cause as Error).message,
      cause,
    });
  }
}

/** Writes entries below a folder; only through folders that it made itself. */
class UnpackedTree {
  readonly #folder: string;
  readonly #stream: PieceStream;
  readonly #entries = new Map<string, RootEntry>([['', EMPTY_ROOT]]);
  /** Folders that were only named as part of a path. */
  readonly #implied = new Set(['']);

  constructor(folder: string, stream: PieceStream) {
    this.#folder = folder;
    this.#stream = stream;
  }

  entries(): RootEntry[] {
    return [...this.#entries.values()];
  }

  async add(entry: TarEntry): Promise<void> {
    const { path } = entry;
    const isImplied = entry.kind === 'directory' && this.#implied.delete(path);
    if (this.#entries.has(path) && !isImplied)
      throw new ToolError('tar.duplicate', { actual: `/${printable(path)}` });
    await this.#makeParents(path);
    await writing(this.#folder, () => this.#write(entry, isImplied));
  }

  async #write(entry: TarEntry, isThere: boolean): Promise<void> {
    const place = this.#place(entry.path);
    if (entry.kind === 'hard-link') {
      const target = this.#entries.get(entry.target);
      if (target?.kind !== 'file')
        throw new ToolError('tar.malformed', {
          expected: `/${printable(entry.path)}: a hard link to a file before it`,
          actual: `/${printable(entry.target)}`,
        });
      await link(this.#place(entry.target), place);
      this.#entries.set(entry.path, { ...target, path: entry.path });
      return;
    }
    if (entry.kind === 'directory') {
      if (!isThere) await mkdir(place, { mode: 0o700 });
    } else if (entry.kind === 'symlink') {
      await symlink(Buffer.from(entry.target ?? '', 'latin1'), place);
    } else {
      const file = await open(place, 'wx', 0o600);
      try {
        for await (const part of this.#stream.parts(entry.sizeBytes)) await file.writeFile(part);
      } finally {
        await file.close();
      }
    }
    this.#entries.set(entry.path, entry);
  }

  async #makeParents(path: string): Promise<void> {
    const parts = path.split('/').slice(0, -1);
    for (let i = 1; i <= parts.length; i++) {
      const parent = parts.slice(0, i).join('/');
      const entry = this.#entries.get(parent);
      if (entry?.kind === 'directory') continue;
      if (entry !== undefined)
        throw new ToolError('tar.path-escape', {
          expected: `/${printable(parent)} as a folder`,
          actual: entry.kind,
        });
      await writing(this.#folder, () => mkdir(this.#place(parent), { mode: 0o700 }));
      this.#entries.set(parent, { ...EMPTY_ROOT, path: parent });
      this.#implied.add(parent);
    }
  }

  #place(path: string): Buffer {
    return Buffer.concat([Buffer.from(`${this.#folder}/`), Buffer.from(path, 'latin1')]);
  }
}
