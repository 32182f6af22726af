import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
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
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeOutput } from './command-line.js';

describe('writeOutput', () => {
  let folder: string;
  const at = (...names: string[]): string => join(folder, ...names);
  const text = (...names: string[]): string => readFileSync(at(...names), 'utf8');
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tee-output-'));
  });
  afterEach(() => {
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    rmSync(folder, { recursive: true });
  });

  it('makes a file', async () => {
    await writeOutput(at('new'), new Uint8Array([0x68, 0x69]));
    expect(text('new')).toBe('hi');
  });
  it('replaces a file in one step: who reads the old one reads all of it', async () => {
    writeFileSync(at('file'), 'old');
    const open = openSync(at('file'), 'r');
    await writeOutput(at('file'), 'new');
    expect([readFileSync(open, 'utf8'), text('file')]).toEqual(['old', 'new']);
    closeSync(open);
  });
  // The mistake: a private file that everybody can read after it was written again.
  it.each([0o600, 0o640, 0o666, 0o755])('keeps mode %o', async (mode) => {
    writeFileSync(at('file'), 'old');
    chmodSync(at('file'), mode);
    await writeOutput(at('file'), 'new');
    expect([statSync(at('file')).mode & 0o777, text('file')]).toEqual([mode, 'new']);
  });
  it.skipIf(process.getuid?.() !== 0)('keeps the owner when root writes', async () => {
    writeFileSync(at('file'), 'old');
    execFileSync('chown', ['1234:5678', at('file')]);
    await writeOutput(at('file'), 'new');
    const { uid, gid } = statSync(at('file'));
    expect([uid, gid]).toEqual([1234, 5678]);
  });
  // The mistake: the link becomes a file, and what it names keeps the old content.
  it.each([
    ['to a file', 'file'],
    ['to a file in another folder', 'folder/file'],
    ['to nothing yet', 'folder/later'],
  ])('follows a link %s', async (_, target) => {
    mkdirSync(at('folder'));
    if (!target.endsWith('later')) writeFileSync(at(target), 'old');
    symlinkSync(target, at('link'));
    symlinkSync('link', at('link to link'));
    await writeOutput(at('link to link'), 'new');
    expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
    expect([readlinkSync(at('link to link')), text(target)]).toEqual(['link', 'new']);
  });
  it('follows a link that leads out of a linked folder', async () => {
    mkdirSync(at('deep', 'er'), { recursive: true });
    symlinkSync('deep/er', at('folder'));
    symlinkSync('../result', at('folder', 'link'));
    await writeOutput(at('folder', 'link'), 'new');
    expect(text('deep', 'result')).toBe('new');
  });
  // The mistake: `--out >(gzip > file)` or a named pipe; the reader got nothing.
  it('writes into a pipe', async () => {
    execFileSync('mkfifo', [at('pipe')]);
    const reader = spawn('cat', [at('pipe')]);
    let read = '';
    reader.stdout.on('data', (chunk) => {
      read += chunk;
    });
    const ended = new Promise((resolve) => reader.once('close', resolve));
    await writeOutput(at('pipe'), 'new');
    await ended;
    expect(read).toBe('new');
    expect(statSync(at('pipe')).isFIFO()).toBe(true);
  });
  it('writes into a device', async () => {
    symlinkSync('/dev/null', at('null'));
    await writeOutput(at('null'), 'new');
    expect(statSync(at('null')).isCharacterDevice()).toBe(true);
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });
  it('writes into an open file that has no name any more', async () => {
    writeFileSync(at('file'), 'old');
    const open = openSync(at('file'), 'r+');
    rmSync(at('file'));
    await writeOutput(`/proc/self/fd/${open}`, 'new');
    expect([readFileSync(open, 'utf8'), readdirSync(folder)]).toEqual(['new', []]);
    closeSync(open);
  });
  it.each([
    ['a folder', () => mkdirSync(at('out')), 'EISDIR'],
    ['a loop of links', () => symlinkSync('out', at('out')), 'ELOOP'],
    ['a full device', () => symlinkSync('/dev/full', at('out')), 'ENOSPC'],
    ['a link into a missing folder', () => symlinkSync('no/such', at('out')), 'ENOENT'],
  ])('says that it cannot write %s', async (_, make, errno) => {
    make();
    await expect(writeOutput(at('out'), 'new')).rejects.toMatchObject({
      code: 'file.unwritable',
      actual: expect.stringContaining(errno),
    });
  });
  it('leaves another name of the old file as it was', async () => {
    writeFileSync(at('file'), 'old');
    linkSync(at('file'), at('other'));
    await writeOutput(at('file'), 'new');
    expect([text('file'), text('other')]).toEqual(['new', 'old']);
  });
});
