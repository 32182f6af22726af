import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { bytesSource } from 'tee-verify/measure';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rejectionOf } from '../../../src/test-support/rejection.js';
import { ToolError } from '../../common/tool-error.js';
import type { FileTree } from './file-tree.js';
import { readErofs } from './read-erofs.js';
import { readFolder } from './read-folder.js';

const folder = mkdtempSync(join(tmpdir(), 'tee-image-erofs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]): string => join(folder, ...names);
const isRoot = process.getuid?.() === 0;

let image: Buffer;
let small: Buffer;
const big = Buffer.alloc(3 * 4096 + 100, 'big');

function make(name: string, ...options: readonly string[]): Buffer {
  execFileSync('mkfs.erofs', ['-T', '0', ...options, at(name), at('root')], { stdio: 'ignore' });
  return readFileSync(at(name));
}

beforeAll(() => {
  mkdirSync(at('root/etc/many'), { recursive: true });
  writeFileSync(at('root/etc/shadow'), 'root::');
  writeFileSync(at('root/big'), big);
  writeFileSync(at('root/blocks'), big.subarray(0, 8192));
  writeFileSync(at('root/empty'), '');
  writeFileSync(at('root/etc/ünïcode'), 'x');
  symlinkSync('../etc/shadow', at('root/etc/link'));
  for (let i = 0; i < 500; i++) writeFileSync(at('root/etc/many', `a-longer-name-${i}`), `${i}`);
  chmodSync(at('root/big'), 0o4755);
  if (isRoot) {
    chownSync(at('root/empty'), 100_000, 7);
    // Capabilities as `setcap cap_net_raw+ep` writes them.
    if (spawnSync('setcap', ['cap_net_raw+ep', at('root/blocks')]).status !== 0)
      console.error('SKIPPED: capabilities in erofs, for want of setcap (Debian: libcap2-bin)');
  }
  image = make('image.erofs');
  small = make('small.erofs', '--exclude-path=etc/many');
});

const read = (bytes: Uint8Array): Promise<FileTree> => readErofs(bytesSource(bytes));
const listed = (tree: FileTree): unknown[] =>
  [...tree.all()]
    .map(({ path, kind, mode, uid, gid, sizeBytes, target }) => ({
      ...{ path, kind, mode, uid, gid, target },
      ...(kind === 'directory' ? {} : { sizeBytes }),
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));

describe('readErofs', () => {
  it('reads what mkfs.erofs wrote, as the folder has it', async () => {
    const tree = await read(image);
    expect(listed(tree)).toEqual(listed(await readFolder(at('root'))));
    for (const path of ['/big', '/blocks', '/empty', '/etc/ünïcode', '/etc/many/a-longer-name-499'])
      expect(Buffer.from((await tree.resolve(path)?.read()) ?? 'none')).toEqual(
        readFileSync(at('root', path)),
      );
    expect(await tree.text('/etc/link')).toBe('root::');
  });

  it('sees capabilities', async ({ skip }) => {
    if (!isRoot || spawnSync('getcap', [at('root/blocks')]).stdout.length === 0) skip();
    const tree = await read(image);
    expect(tree.resolve('/blocks')?.hasCapabilities).toBe(true);
    expect(tree.resolve('/big')?.hasCapabilities).toBe(false);
  });

  it('reads the names of a compressed image, but not its contents', async () => {
    const tree = await read(make('compressed.erofs', '-zlz4'));
    expect(listed(tree)).toEqual(listed(await read(image)));
    const error = await rejectionOf(Promise.resolve(tree.resolve('/big')?.read()));
    expect(error).toMatchObject({ code: 'erofs.unsupported' });
  });

  it.each<[string, (bytes: Buffer) => void, string]>([
    ['another magic number', (bytes) => bytes.writeUInt32LE(1, 1024), 'erofs.malformed'],
    ['blocks of 2 bytes', (bytes) => bytes.writeUInt8(1, 1036), 'erofs.malformed'],
    ['chunks', (bytes) => bytes.writeUInt32LE(4, 1104), 'erofs.unsupported'],
    ['a feature of the future', (bytes) => bytes.writeUInt32LE(0x8000, 1104), 'erofs.unsupported'],
    ['another device', (bytes) => bytes.writeUInt16LE(1, 1110), 'erofs.unsupported'],
    ['larger folders', (bytes) => bytes.writeUInt8(2, 1114), 'erofs.unsupported'],
    ['a root outside', (bytes) => bytes.writeUInt16LE(0xffff, 1038), 'erofs.malformed'],
    ['metadata outside', (bytes) => bytes.writeUInt32LE(0xffff_ffff, 1064), 'erofs.malformed'],
    [
      'a file as the root',
      (bytes) => bytes.writeUInt16LE(0o100644, rootInode(bytes) + 4),
      'erofs.malformed',
    ],
    [
      'a layout of the future',
      (bytes) => bytes.writeUInt16LE(bytes.readUInt16LE(rootInode(bytes)) | 0x0e, rootInode(bytes)),
      'erofs.unsupported',
    ],
    [
      'a name twice',
      (bytes) => {
        bytes.copy(
          bytes,
          bytes.indexOf('a-longer-name-498'),
          bytes.indexOf('a-longer-name-499'),
          bytes.indexOf('a-longer-name-499') + 17,
        );
      },
      'erofs.malformed',
    ],
    [
      'a slash in a name',
      (bytes) => void bytes.write('a/longer', bytes.indexOf('a-longer-name-7')),
      'erofs.malformed',
    ],
  ])('refuses %s', async (_name, change, code) => {
    const bytes = Buffer.from(image);
    change(bytes);
    expect(await rejectionOf(read(bytes))).toMatchObject({ code });
  });

  it('refuses a folder that holds itself', async () => {
    const bytes = Buffer.from(image);
    // The entry of `etc` in the root gets the root's number.
    const root = bytes.readUInt16LE(1038);
    const etc = BigInt((await nodeOf('etc')) ?? -1);
    for (let at = 0; at + 8 <= bytes.length; at += 4)
      if (bytes.readBigUInt64LE(at) === etc) bytes.writeBigUInt64LE(BigInt(root), at);
    expect(await rejectionOf(read(bytes))).toMatchObject({ code: 'erofs.malformed' });
  });

  it('throws nothing but its own errors, whatever is changed or cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(small.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.nat(small.length),
        fc.boolean(),
        async (changes, length, isCut) => {
          const bytes = Buffer.from(isCut ? small.subarray(0, length) : small);
          for (const [where, value] of changes) if (where < bytes.length) bytes[where] = value;
          try {
            const tree = await read(bytes);
            for (const file of tree.all()) if (file.kind === 'file') await file.read();
          } catch (error) {
            expect(error).toBeInstanceOf(ToolError);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

function rootInode(bytes: Buffer): number {
  return bytes.readUInt32LE(1064) * 4096 + bytes.readUInt16LE(1038) * 32;
}

/** The inode number behind a name of the root, from its directory entry. */
async function nodeOf(name: string): Promise<number | undefined> {
  const tree = await read(image);
  const bytes = Buffer.from((await tree.resolve('/')?.read()) ?? []);
  const count = bytes.readUInt16LE(8) / 12;
  for (let i = 0; i < count; i++) {
    const from = bytes.readUInt16LE(12 * i + 8);
    if (bytes.subarray(from, from + name.length).toString() === name)
      return Number(bytes.readBigUInt64LE(12 * i));
  }
  return undefined;
}
