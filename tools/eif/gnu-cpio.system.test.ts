import { spawnSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTree } from './read-tree.js';
import { unpackRamdisk } from './unpack-ramdisk.js';
import { writeCpio } from './write-cpio.js';

const hasCpio = spawnSync('cpio', ['--version']).status === 0;
if (!hasCpio) {
  if (process.env.CI !== undefined) throw new Error('missing: cpio');
  console.error('SKIPPED: comparison with GNU cpio, for want of it');
}

const folder = mkdtempSync(join(tmpdir(), 'gnu-cpio-'));
const at = (...names: string[]): string => join(folder, ...names);

beforeAll(() => {
  mkdirSync(at('tree/deep/er'), { recursive: true });
  writeFileSync(at('tree/deep/run'), 'run', { mode: 0o755 });
  writeFileSync(at('tree/deep/er/data'), Buffer.alloc(70_001, 'x'));
  writeFileSync(at('tree/empty'), '');
  linkSync(at('tree/deep/run'), at('tree/again'));
  symlinkSync('deep/run', at('tree/link'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function expectTree(root: string): void {
  expect(readdirSync(root, { recursive: true }).sort()).toEqual([
    ...['again', 'deep', 'deep/er', 'deep/er/data', 'deep/run', 'empty', 'link'],
  ]);
  expect(readFileSync(join(root, 'again'), 'utf8')).toBe('run');
  expect(statSync(join(root, 'again')).ino).toBe(statSync(join(root, 'deep/run')).ino);
  expect(statSync(join(root, 'deep/run')).mode & 0o777).toBe(0o755);
  expect(readFileSync(join(root, 'deep/er/data'))).toHaveLength(70_001);
  expect(readlinkSync(join(root, 'link'))).toBe('deep/run');
}

describe.skipIf(!hasCpio)('GNU cpio', () => {
  it('reads what we write', () => {
    const parts = [...writeCpio(readTree(at('tree')))].map((piece) => Buffer.from(piece));
    mkdirSync(at('by-gnu'));
    const options = { cwd: at('by-gnu'), input: Buffer.concat(parts) };
    const { status, stderr } = spawnSync('cpio', ['-id', '--quiet'], options);
    expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
    expectTree(at('by-gnu'));
  });

  it('writes what we read', async () => {
    const script = 'find . | cpio --quiet -o -H newc > ../gnu.cpio';
    expect(spawnSync('sh', ['-c', script], { cwd: at('tree') }).status).toBe(0);
    const sizeBytes = statSync(at('gnu.cpio')).size;
    await unpackRamdisk({ path: at('gnu.cpio'), sizeBytes }, at('by-us'), 1e7);
    expectTree(at('by-us'));
  });
});
