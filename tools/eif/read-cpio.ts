import { printable } from 'tee-verify/measure';
import { PieceStream } from '../common/piece-stream.js';
import { ToolError } from '../common/tool-error.js';

/** The header of one entry as it stands in an archive that nobody vouches for. */
export interface ArchiveEntry {
  /** Without `./`; the root itself is the empty text. One character a byte (latin1). */
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'symlink' | 'special';
  /** Permission bits. */
  readonly mode: number;
  readonly sizeBytes: number;
  /** Entries with the same link are one file with several names. */
  readonly link: string | undefined;
}

const HEADER_BYTES = 110;
const MAX_ENTRIES = 1_000_000;
const MAX_NAME_BYTES = 4096;
const FIELDS = [
  ...['ino', 'mode', 'uid', 'gid', 'nlink', 'mtime', 'filesize', 'devmajor', 'devminor'],
  ...['rdevmajor', 'rdevminor', 'namesize', 'check'],
];
/** File types of Linux (inode(7)). */
const KINDS: ReadonlyMap<number, ArchiveEntry['kind']> = new Map([
  [0o040000, 'directory'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
  [0o020000, 'special'],
  [0o060000, 'special'],
  [0o010000, 'special'],
  [0o140000, 'special'],
]);

/** The bytes of archives, at most so many. */
export function cpioStream(chunks: AsyncIterable<Uint8Array>, maxBytes: number): PieceStream {
  return new PieceStream(chunks, {
    truncated: 'ramdisk.truncated',
    tooLarge: { code: 'ramdisk.too-large', maxBytes },
  });
}

/**
 * Reads newc archives, one after the other with zeros between them, up to the end. `onEntry` reads
 * exactly the entry's contents from the stream. Names that would lead out of the archive's root are
 * refused. Throws `ramdisk.*`.
 */
export async function readCpio(
  stream: PieceStream,
  onEntry: (entry: ArchiveEntry) => Promise<void>,
): Promise<void> {
  for (let count = 0; ; count++) {
    if (count === MAX_ENTRIES)
      throw new ToolError('ramdisk.too-large', { actual: `more than ${MAX_ENTRIES} entries` });
    const start = stream.offset;
    const entry = await readHeader(stream);
    if (entry === 'trailer') {
      // What follows is the end or, after zeros, another archive (Linux, "initramfs buffer format").
      await stream.skipZeros();
      if (await stream.ended()) return;
      continue;
    }
    const from = stream.offset;
    await onEntry(entry);
    const read = stream.offset - from;
    if (read !== entry.sizeBytes) throw new TypeError('an entry was not read as a whole');
    await pad(stream, start);
  }
}

async function readHeader(stream: PieceStream): Promise<ArchiveEntry | 'trailer'> {
  const start = stream.offset;
  const head = (await stream.take(HEADER_BYTES)).toString('latin1');
  if (!/^070701[0-9A-Fa-f]{104}$/.test(head))
    malformed('070701 and hex digits (newc)', `"${printable(head, 16)}"`, start);
  const fields = FIELDS.map((_, i) => Number.parseInt(head.slice(6 + 8 * i, 14 + 8 * i), 16));
  const field = (name: string): number => fields[FIELDS.indexOf(name)] as number;
  const size = field('namesize');
  if (size < 2 || size > MAX_NAME_BYTES)
    malformed(`a name of 1 to ${MAX_NAME_BYTES - 1} bytes`, `${size - 1}`, start);
  const name = (await stream.take(size)).toString('latin1');
  if (name.indexOf('\0') !== size - 1)
    malformed('a name that ends with its only NUL', `"${printable(name, 100)}"`, start);
  await pad(stream, start);
  const isTrailer = name === 'TRAILER!!!\0';
  if (isTrailer && field('filesize') === 0) return 'trailer';
  const mode = field('mode');
  const kind = KINDS.get(mode & 0o170000);
  if (isTrailer || kind === undefined)
    malformed('a file type of Linux', `mode ${mode.toString(8)}`, start);
  const sizeBytes = field('filesize');
  if (sizeBytes > 0 && kind !== 'file' && kind !== 'symlink')
    malformed(`a ${kind} without contents`, `${sizeBytes} bytes`, start);
  const hasLinks = kind === 'file' && field('nlink') > 1;
  const link = [field('devmajor'), field('devminor'), field('ino')].join(':');
  return {
    path: checkPath(name.slice(0, -1)),
    kind,
    mode: mode & 0o7777,
    sizeBytes,
    link: hasLinks ? link : undefined,
  };
}

/** Relative, without `..`; `.` and empty parts are left out. Throws `ramdisk.path-escape`. */
function checkPath(name: string): string {
  const parts = name.split('/');
  if (name.startsWith('/') || parts.includes('..'))
    throw new ToolError('ramdisk.path-escape', {
      expected: 'names inside the archive',
      actual: `"${printable(Buffer.from(name, 'latin1').toString(), 200)}"`,
    });
  return parts.filter((part) => part !== '' && part !== '.').join('/');
}

/** Zeros up to a multiple of four bytes from the entry's start. */
async function pad(stream: PieceStream, start: number): Promise<void> {
  const padding = (4 - ((stream.offset - start) % 4)) % 4;
  await stream.take(padding);
}

function malformed(expected: string, actual: string, offset: number): never {
  throw new ToolError('ramdisk.malformed', { expected, actual: `${actual} (offset ${offset})` });
}
