import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ToolError } from '../common/tool-error.js';
import { MODE, makeArchive, type RawEntry } from './testing/make-archive.js';
import { type UnpackedRamdisk, unpackRamdisk } from './unpack-ramdisk.js';

let folder: string;
const at = (...names: string[]): string => join(folder, ...names);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'unpack-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function unpack(bytes: Uint8Array, maxBytes = 1e7): Promise<UnpackedRamdisk> {
  writeFileSync(at('ramdisk'), bytes);
  rmSync(at('out'), { recursive: true, force: true });
  return unpackRamdisk({ path: at('ramdisk'), sizeBytes: bytes.length }, at('out'), maxBytes);
}

async function codeOf(bytes: Uint8Array, maxBytes?: number): Promise<string> {
  try {
    await unpack(bytes, maxBytes);
    return 'ok';
  } catch (error) {
    if (error instanceof ToolError) return error.code;
    throw error;
  }
}

const ROOT: RawEntry = { name: 'd', mode: MODE.folder };

describe('unpackRamdisk', () => {
  it('unpacks folders, files, hard and symbolic links', async () => {
    const { entries, skipped } = await unpack(
      makeArchive([
        { name: '.', mode: MODE.folder },
        ROOT,
        { name: 'd/a', data: 'hello', mode: 0o100755 },
        { name: './d/b', mode: MODE.symlink, data: '../../etc/passwd' },
        { name: 'd/setuid', mode: 0o104777, data: 'x' },
        { name: 'implied/c', data: 'c' },
        { name: 'one', inode: 7, links: 2 },
        { name: 'two', inode: 7, links: 2, data: 'both' },
        { name: 'null', mode: MODE.device },
      ]),
    );
    expect(entries).toBe(9);
    expect(skipped).toEqual(['"null"']);
    expect(readFileSync(at('out/d/a'), 'utf8')).toBe('hello');
    expect(statSync(at('out/d/a')).mode & 0o7777).toBe(0o755);
    expect(statSync(at('out/d/setuid')).mode & 0o7777).toBe(0o755);
    expect(readlinkSync(at('out/d/b'))).toBe('../../etc/passwd');
    expect(readFileSync(at('out/one'), 'utf8')).toBe('both');
    expect(statSync(at('out/one')).ino).toBe(statSync(at('out/two')).ino);
    expect(existsSync(at('out/null'))).toBe(false);
  });

  it('unpacks gzip, several archives in a row, and zeros at the end', async () => {
    const archive = makeArchive([{ name: 'a', data: 'a' }]);
    const more = makeArchive([{ name: 'b', data: 'b' }]);
    const padded = Buffer.concat([archive, Buffer.alloc(508), more, Buffer.alloc(512)]);
    for (const bytes of [padded, gzipSync(padded)]) {
      await unpack(bytes);
      expect(readdirSync(at('out')).sort()).toEqual(['a', 'b']);
    }
  });

  it.each<readonly [string, string, readonly RawEntry[]]>([
    ['an absolute name', 'ramdisk.path-escape', [{ name: '/tmp/escaped' }]],
    ['a name that climbs', 'ramdisk.path-escape', [{ name: '../escaped' }]],
    ['a name that climbs inside', 'ramdisk.path-escape', [ROOT, { name: 'd/../../escaped' }]],
    ['a name that climbs at its end', 'ramdisk.path-escape', [{ name: 'd/..' }]],
    [
      'a file through a symbolic link',
      'ramdisk.path-escape',
      [{ name: 'l', mode: MODE.symlink, data: '/tmp' }, { name: 'l/escaped' }],
    ],
    [
      'a folder through a symbolic link',
      'ramdisk.path-escape',
      [
        { name: 'l', mode: MODE.symlink, data: '..' },
        { name: 'l/escaped', mode: MODE.folder },
      ],
    ],
    [
      'a link through a link',
      'ramdisk.path-escape',
      [
        { name: 'l', mode: MODE.symlink, data: '..' },
        { name: 'l/m', mode: MODE.symlink, data: '..' },
      ],
    ],
    ['a file below a file', 'ramdisk.path-escape', [{ name: 'f' }, { name: 'f/g' }]],
    [
      'a folder where a link stands',
      'ramdisk.path-escape',
      [
        { name: 'l', mode: MODE.symlink, data: '..' },
        { name: 'l', mode: MODE.folder },
      ],
    ],
    [
      'a file over a symbolic link',
      'ramdisk.duplicate',
      [
        { name: 'l', mode: MODE.symlink, data: '../escaped' },
        { name: 'l', data: 'x' },
      ],
    ],
    ['a file twice', 'ramdisk.duplicate', [{ name: 'f' }, { name: './/f' }]],
    ['a file over a folder', 'ramdisk.duplicate', [ROOT, { name: 'd' }]],
    ['a file that is the root', 'ramdisk.duplicate', [{ name: '.' }]],
    [
      'a link over a folder',
      'ramdisk.duplicate',
      [ROOT, { name: 'd', mode: MODE.symlink, data: '..' }],
    ],
    [
      'a hard link to a symbolic link',
      'ramdisk.duplicate',
      [
        { name: 'l', mode: MODE.symlink, data: '../escaped', inode: 3, links: 2 },
        { name: 'l', inode: 3, links: 2, data: 'x' },
      ],
    ],
    [
      'a hard-linked file with contents twice',
      'ramdisk.duplicate',
      [
        { name: 'a', inode: 3, links: 2, data: 'x' },
        { name: 'b', inode: 3, links: 2, data: 'y' },
      ],
    ],
    ['a symbolic link to nothing', 'ramdisk.malformed', [{ name: 'l', mode: MODE.symlink }]],
    [
      'a symbolic link with a NUL',
      'ramdisk.malformed',
      [{ name: 'l', mode: MODE.symlink, data: 'a\0b' }],
    ],
    ['a name with a NUL', 'ramdisk.malformed', [{ name: 'a\0b' }]],
    ['an empty name', 'ramdisk.malformed', [{ name: '' }]],
    ['a name of 5000 bytes', 'ramdisk.malformed', [{ name: 'a'.repeat(5000) }]],
    ['another magic', 'ramdisk.malformed', [{ name: 'a', magic: '070702' }]],
    ['an unknown type', 'ramdisk.malformed', [{ name: 'a', mode: 0o644 }]],
    ['a folder with contents', 'ramdisk.malformed', [{ ...ROOT, data: 'abcd' }]],
    ['a size past the end', 'ramdisk.truncated', [{ name: 'a', size: 0xffffffff }]],
  ])('refuses %s: %s', async (_name, code, entries) => {
    expect(await codeOf(makeArchive(entries))).toBe(code);
    expect(existsSync(at('escaped'))).toBe(false);
    expect(existsSync('/tmp/escaped')).toBe(false);
    expect(readdirSync(folder).sort()).toEqual(['out', 'ramdisk']);
  });

  it('keeps a symbolic link that a hard link group shares its number with apart', async () => {
    await unpack(
      makeArchive([
        { name: 'a', inode: 3, links: 2 },
        { name: 'l', mode: MODE.symlink, data: '../ramdisk', inode: 3, links: 2 },
        { name: 'b', inode: 3, links: 2, data: 'x' },
      ]),
    );
    expect(lstatSync(at('out/l')).isSymbolicLink()).toBe(true);
    expect(readFileSync(at('out/a'), 'utf8')).toBe('x');
  });

  it('does not unpack more than allowed', async () => {
    const bomb = gzipSync(makeArchive([{ name: 'a', data: '0'.repeat(5_000_000) }]));
    expect(bomb.length).toBeLessThan(10_000);
    expect(await codeOf(bomb, 1_000_000)).toBe('ramdisk.too-large');
  });

  it.each([
    ['nothing', 'ramdisk.truncated', Buffer.alloc(0)],
    ['zstd', 'ramdisk.unsupported', Buffer.from('28b52ffd00', 'hex')],
    ['xz', 'ramdisk.unsupported', Buffer.from('fd377a585a000000', 'hex')],
    ['damaged gzip', 'ramdisk.malformed', Buffer.from('1f8b08000000000000ffff', 'hex')],
    ['text', 'ramdisk.malformed', Buffer.from('hello '.repeat(50))],
    ['no trailer', 'ramdisk.truncated', makeArchive([{ name: 'a' }]).subarray(0, 112)],
    [
      'something behind the trailer',
      'ramdisk.malformed',
      Buffer.concat([makeArchive([]), Buffer.alloc(200, 1)]),
    ],
  ])('refuses %s: %s', async (_name, code, bytes) => {
    expect(await codeOf(bytes)).toBe(code);
  });

  it('gives a code at every truncation, and for random bytes', async () => {
    const archive = makeArchive([ROOT, { name: 'd/a', data: 'hello' }]);
    for (let length = 1; length < archive.length - 3; length += 3)
      expect(await codeOf(archive.subarray(0, length))).toMatch(/^ramdisk\./);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (noise) => {
        expect(await codeOf(Buffer.concat([Buffer.from('070701'), noise]))).toMatch(/^ramdisk\./);
      }),
      { numRuns: 30 },
    );
  });
});
