import { isFilledWith } from 'tee-verify/bytes';
import { must } from './fat-table.js';
import { viewOf } from './read-at.js';

/** One entry of a directory. */
export interface FatEntry {
  /** As a user sees it; FAT compares without regard to case. */
  readonly name: string;
  readonly isDirectory: boolean;
  /** 0 when there is no data. */
  readonly firstCluster: number;
  readonly sizeBytes: number;
}

const ENTRY_BYTES = 32;
const ATTRIBUTE = { volume: 0x08, directory: 0x10, longName: 0x0f } as const;
/** Characters that a short name may have beside letters and digits (FAT specification, 6.1). */
const SHORT_NAME = /^[A-Z0-9!#$%&'()@^_`{}~-]+$/;
const LONG_NAME = /^[A-Za-z0-9 !#$%&'()@^_`{}~.+,;=[\]-]{1,255}$/;

/**
 * Reads the entries of a directory, without `.`, `..` and the volume's label. What one reader skips
 * and another sees is refused. Throws `esp.malformed`.
 */
export function readDirectory(bytes: Uint8Array, path: string): FatEntry[] {
  const entries: FatEntry[] = [];
  const seen = new Set<string>();
  let hasLabel = false;
  let longName: LongName | undefined;
  for (let at = 0; at < bytes.length; at += ENTRY_BYTES) {
    const raw = bytes.subarray(at, at + ENTRY_BYTES);
    if (raw[0] === 0) {
      // Firmware stops here; Linux goes on.
      must(isFilledWith(bytes.subarray(at), 0), `${path}: zeros behind the last entry`, 'data');
      break;
    }
    if (raw[0] === 0xe5) {
      must(longName === undefined, `${path}: a file behind each long name`, 'a deleted one');
      continue;
    }
    const attributes = raw[11] as number;
    if ((attributes & 0x3f) === ATTRIBUTE.longName) {
      longName = continueLongName(raw, longName, path);
      continue;
    }
    const name = finishName(raw, longName, path);
    longName = undefined;
    if ((attributes & ATTRIBUTE.volume) !== 0) {
      must(path === '', 'a label in the root only', `one in ${path}`);
      must(isLabel(raw) && !hasLabel, 'one label without contents', 'more, or something else');
      hasLabel = true;
      continue;
    }
    if (name === '.' || name === '..') {
      must(path !== '' && at < 2 * ENTRY_BYTES, `${path}: dots at the start`, name);
      continue;
    }
    const key = name.toUpperCase();
    must(!seen.has(key), `${path}/${name} once`, 'twice');
    seen.add(key);
    entries.push(toEntry(raw, name));
  }
  must(longName === undefined, `${path}: a file behind each long name`, 'none');
  return entries;
}

function toEntry(raw: Uint8Array, name: string): FatEntry {
  const view = viewOf(raw);
  return {
    name,
    isDirectory: ((raw[11] as number) & ATTRIBUTE.directory) !== 0,
    firstCluster: view.getUint16(20, true) * 65_536 + view.getUint16(26, true),
    sizeBytes: view.getUint32(28, true),
  };
}

/** A label, and not something that another reader takes for a file or a folder. */
function isLabel(raw: Uint8Array): boolean {
  const { firstCluster, sizeBytes, isDirectory } = toEntry(raw, '');
  return firstCluster === 0 && sizeBytes === 0 && !isDirectory;
}

/** The parts of a long name, last one first. */
interface LongName {
  readonly text: string;
  readonly checksum: number;
  readonly order: number;
}

function continueLongName(raw: Uint8Array, before: LongName | undefined, path: string): LongName {
  const order = raw[0] as number;
  const isLast = (order & 0x40) !== 0;
  const number = order & 0x3f;
  const checksum = raw[13] as number;
  const fits = isLast
    ? before === undefined && number >= 1 && number <= 20
    : before?.order === number + 1 && before.checksum === checksum && number >= 1;
  must(fits, `${path}: the parts of a long name in order`, `part ${number}`);
  const view = viewOf(raw);
  const places = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
  const units = places.map((place) => view.getUint16(place, true));
  const end = isLast ? units.indexOf(0) : -1;
  const used = end === -1 ? units : units.slice(0, end);
  const text = String.fromCharCode(...used) + (before?.text ?? '');
  return { text, checksum, order: number };
}

function finishName(raw: Uint8Array, long: LongName | undefined, path: string): string {
  const short = shortName(raw, path);
  if (long === undefined) return short;
  const isWhole = long.order === 1 && long.checksum === checksumOf(raw.subarray(0, 11));
  must(isWhole, `${path}: a long name that belongs to ${short}`, 'another');
  must(LONG_NAME.test(long.text), `${path}: a plain name`, JSON.stringify(long.text));
  return long.text;
}

function shortName(raw: Uint8Array, path: string): string {
  const text = String.fromCharCode(...raw.subarray(0, 11));
  if (text === '.          ' || text === '..         ') return text.trimEnd();
  const base = text.slice(0, 8).trimEnd();
  const extension = text.slice(8).trimEnd();
  if (((raw[11] as number) & ATTRIBUTE.volume) !== 0) return text.trimEnd();
  const isPlain = SHORT_NAME.test(base) && (extension === '' || SHORT_NAME.test(extension));
  must(isPlain, `${path}: a plain short name`, JSON.stringify(text));
  // Windows keeps in these bits that a part was written in lower case.
  const flags = raw[12] as number;
  const shown = (flags & 0x08) !== 0 ? base.toLowerCase() : base;
  const end = (flags & 0x10) !== 0 ? extension.toLowerCase() : extension;
  return extension === '' ? shown : `${shown}.${end}`;
}

/** FAT specification, 7.2. */
function checksumOf(name: Uint8Array): number {
  let sum = 0;
  for (const byte of name) sum = (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff;
  return sum;
}
