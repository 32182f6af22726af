/** One entry of an archive that may be as wrong as a test wants. */
export interface RawEntry {
  readonly name: string;
  /** Type and permissions; default a file, 644. */
  readonly mode?: number;
  readonly inode?: number;
  readonly links?: number;
  readonly data?: string;
  /** What the header says of the size, when it lies. */
  readonly size?: number;
  readonly magic?: string;
}

/** Modes with their types. */
export const MODE = {
  folder: 0o40755,
  file: 0o100644,
  symlink: 0o120777,
  device: 0o20644,
} as const;

/** A newc archive, field by field, with its trailer. */
export function makeArchive(entries: readonly RawEntry[]): Buffer {
  const all = [...entries, { name: 'TRAILER!!!', mode: 0 }];
  return Buffer.concat(all.map(makeEntry));
}

function makeEntry(entry: RawEntry): Buffer {
  const { name, mode = MODE.file, inode = 0, links = 1, data = '' } = entry;
  const size = entry.size ?? Buffer.byteLength(data);
  const nameBytes = Buffer.from(`${name}\0`);
  const fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, nameBytes.length, 0];
  const head = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  const start = Buffer.from(`${entry.magic ?? '070701'}${head}`);
  return Buffer.concat([pad(Buffer.concat([start, nameBytes])), pad(Buffer.from(data))]);
}

function pad(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
