import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFile } from './file-source.js';

describe('openFile', () => {
  const folder = mkdtempSync(join(tmpdir(), 'file-source-'));
  const spool = join(folder, 'spool');
  const previous = process.env.TMPDIR;

  beforeAll(() => {
    mkdirSync(spool);
    process.env.TMPDIR = spool;
  });
  afterAll(() => {
    if (previous === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = previous;
    rmSync(folder, { recursive: true, force: true });
  });

  it('reads a file in place, whatever part of it', async () => {
    writeFileSync(join(folder, 'file'), 'abcdef');
    const source = await openFile(join(folder, 'file'));
    expect(source.size).toBe(6);
    expect(Buffer.from(await source.read(2, 3)).toString()).toBe('cde');
    await source.close();
  });

  it('reads a pipe by a copy that has no name and cannot be left behind', async () => {
    const pipe = join(folder, 'pipe');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    const writer = spawn('sh', ['-c', `printf abc > '${pipe}'; printf def > /dev/null`]);
    const source = await openFile(pipe);
    expect(source.size).toBe(3);
    expect(Buffer.from(await source.read(1, 2)).toString()).toBe('bc');
    if (process.platform === 'linux') expect(readdirSync(spool)).toEqual([]);
    await source.close();
    expect(readdirSync(spool)).toEqual([]);
    writer.kill();
  });

  it.each([['/dev/zero'], [tmpdir()], [join(folder, 'none')]])('refuses %s', async (path) => {
    await expect(openFile(path)).rejects.toMatchObject({ code: 'file.unreadable' });
  });
});
