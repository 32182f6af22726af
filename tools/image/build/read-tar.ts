import { printable } from 'tee-verify/measure';
import type { PieceStream } from '../../common/piece-stream.js';
import { ToolError } from '../../common/tool-error.js';
import { encodeDevice, type RootEntry } from './root-tree.js';

/** An entry of an archive that nobody vouches for. */
export type TarEntry =
  | RootEntry
  | (Pick<RootEntry, 'path'> & { readonly kind: 'hard-link'; readonly target: string });

const BLOCK = 512;
const MAX_ENTRIES = 2_000_000;
const MAX_EXTENSION_BYTES = 1024 * 1024;
const MAX_PATH = 4096;
/** Keywords of pax that change what is read here; sparse files are not known. */
const PAX_TEXTS = ['path', 'linkpath', 'size', 'uid', 'gid'] as const;

type Pax = Partial<Record<(typeof PAX_TEXTS)[number], string>>;

/**
 * Reads a tar archive (POSIX ustar and pax, GNU long names) up to its end. `onEntry` reads exactly
 * the contents of a file from the stream. Throws `tar.*`.
 */
export async function readTar(
  stream: PieceStream,
  onEntry: (entry: TarEntry) => Promise<void>,
): Promise<void> {
  let pax: Pax = {};
  for (let count = 0; ; count++) {
    if (count >= MAX_ENTRIES) malformed(`at most ${MAX_ENTRIES} entries`, 'more');
    const start = stream.offset;
    if (await stream.ended()) malformed('blocks of zeros at the end', `the end at ${start}`);
    const header = await stream.take(BLOCK);
    if (header.every((byte) => byte === 0)) return readEnd(stream);
    checkSum(header, start);
    const type = header.toString('latin1', 156, 157);
    if (['x', 'g', 'L', 'K'].includes(type)) {
      const size = readNumber(header, 124, 12);
      if (size > MAX_EXTENSION_BYTES) malformed('an extension of at most 1 MiB', `${size} bytes`);
      const body = await stream.take(size);
      await skip(stream, padding(size));
      pax = { ...pax, ...readExtension(type, body) };
      continue;
    }
    const entry = readHeader(header, type, pax);
    pax = {};
    const from = stream.offset;
    await onEntry(entry);
    const sizeBytes = entry.kind === 'file' ? entry.sizeBytes : 0;
    if (stream.offset - from !== sizeBytes) throw new TypeError('an entry was not read as a whole');
    await skip(stream, padding(sizeBytes));
  }
}

/** After the first block of zeros there are only zeros. */
async function readEnd(stream: PieceStream): Promise<void> {
  await stream.skipZeros();
  if (!(await stream.ended()))
    malformed('zeros behind the archive', `data at offset ${stream.offset}`);
}

function readExtension(type: string, body: Buffer): Pax {
  // Comments for the whole archive are usual (git archive); anything else would be hidden state.
  if (type === 'g') {
    const found = Object.keys(readPax(body));
    if (found.length > 0) unsupported('no global attributes', found.join(', '));
    return {};
  }
  if (type === 'x') return readPax(body);
  const text = body.toString('latin1').replace(/\0+$/, '');
  return type === 'L' ? { path: text } : { linkpath: text };
}

/** Records of the form "length keyword=value\n" (POSIX pax, "pax Extended Header"). */
function readPax(body: Buffer): Pax {
  const pax: Record<string, string> = {};
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const length = Number(body.toString('latin1', at, Math.max(at, space)));
    const isWhole =
      Number.isSafeInteger(length) && length > space - at && at + length <= body.length;
    if (space < 0 || !isWhole || body[at + length - 1] !== 0x0a)
      malformed('records of a pax header', JSON.stringify(body.toString('latin1', at, at + 20)));
    const record = body.toString('latin1', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    const keyword = record.slice(0, Math.max(0, equals));
    if (keyword.startsWith('GNU.sparse')) unsupported('no sparse files', keyword);
    if (PAX_TEXTS.some((known) => known === keyword)) pax[keyword] = record.slice(equals + 1);
    at += length;
  }
  return pax;
}

function readHeader(header: Buffer, type: string, pax: Pax): TarEntry {
  const isUstar = header.toString('latin1', 257, 262) === 'ustar';
  const isPosix = isUstar && header[262] === 0;
  const prefix = isPosix ? readText(header, 345, 155) : '';
  const name = readText(header, 0, 100);
  const path = cleanPath(pax.path ?? (prefix === '' ? name : `${prefix}/${name}`));
  const linkName = pax.linkpath ?? readText(header, 157, 100);
  if (type === '1') return { path, kind: 'hard-link', target: cleanPath(linkName) };
  const number = (keyword: 'size' | 'uid' | 'gid', at: number, length: number): number =>
    pax[keyword] === undefined ? readNumber(header, at, length) : readDecimal(pax[keyword]);
  const isFile = type === '0' || type === '\0' || type === '7';
  const size = number('size', 124, 12);
  if (!isFile && size !== 0 && type !== '5') malformed('no contents but of files', `${size} bytes`);
  const entry = {
    path,
    mode: readNumber(header, 100, 8) & 0o7777,
    uid: number('uid', 108, 8),
    gid: number('gid', 116, 8),
    sizeBytes: 0,
  };
  if (isFile) {
    // Archives older than POSIX write folders like this.
    if (name.endsWith('/') && size === 0) return { ...entry, kind: 'directory' };
    return { ...entry, kind: 'file', sizeBytes: size };
  }
  if (type === '5') return { ...entry, kind: 'directory' };
  if (type === '2') {
    const isTarget = linkName.length > 0 && linkName.length < MAX_PATH && !linkName.includes('\0');
    if (!isTarget) malformed(`a link of 1 to ${MAX_PATH - 1} bytes`, `${linkName.length}`);
    const length = linkName.length;
    return { ...entry, kind: 'symlink', mode: 0o777, target: linkName, sizeBytes: length };
  }
  if (type === '3' || type === '4') {
    const kind = type === '4' ? 'block-device' : 'character-device';
    const [major, minor] = [readNumber(header, 329, 8), readNumber(header, 337, 8)];
    if (major > 0xfff || minor > 0xfffff) malformed('a device number', `${major}:${minor}`);
    return { ...entry, kind, device: encodeDevice(major, minor) };
  }
  if (type === '6')
    throw new ToolError('root.unsupported-file', { actual: `/${printable(path)}: a pipe` });
  return unsupported('files, folders, links and devices', `type ${JSON.stringify(type)}`);
}

/** Without `./` and slashes at the end; the root is ''. Throws `tar.path-escape`. */
function cleanPath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const isWrong = parts.includes('..') || path.includes('\0') || path.startsWith('/');
  if (isWrong || path === '' || path.length >= MAX_PATH || parts.some((part) => part.length > 255))
    throw new ToolError('tar.path-escape', {
      expected: 'a path below the root',
      actual: JSON.stringify(printable(path, 100)),
    });
  return parts.join('/');
}

function checkSum(header: Buffer, offset: number): void {
  let sum = 8 * 0x20; // the field itself counts as spaces
  for (const [i, byte] of header.entries()) if (i < 148 || i >= 156) sum += byte;
  if (readNumber(header, 148, 8) !== sum)
    malformed(`a header at offset ${offset}`, 'a wrong checksum');
}

function readText(header: Buffer, at: number, length: number): string {
  const text = header.toString('latin1', at, at + length);
  return text.includes('\0') ? text.slice(0, text.indexOf('\0')) : text;
}

/** Octal text, or GNU's binary form for large numbers. */
function readNumber(header: Buffer, at: number, length: number): number {
  const first = header[at] as number;
  if (first === 0x80) {
    const value = BigInt(`0x${header.toString('hex', at + 1, at + length)}`);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) malformed('a number below 2^53', `${value}`);
    return Number(value);
  }
  const field = header.toString('latin1', at, at + length);
  const digits = field.replace(/^ +/, '').replace(/[\0 ].*$/s, '');
  if (!/^[0-7]*$/.test(digits)) malformed('an octal number', JSON.stringify(digits));
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function readDecimal(text: string): number {
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value))
    malformed('a decimal number', JSON.stringify(text.slice(0, 40)));
  return value;
}

async function skip(stream: PieceStream, length: number): Promise<void> {
  for await (const _ of stream.parts(length));
}

const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

function malformed(expected: string, actual: string): never {
  throw new ToolError('tar.malformed', { expected, actual });
}

function unsupported(expected: string, actual: string): never {
  throw new ToolError('tar.unsupported', { expected, actual });
}
