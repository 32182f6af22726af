import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { replaceFolder } from './output-folder.js';

const folder = mkdtempSync(join(tmpdir(), 'tee-output-folder-'));
const target = join(folder, 'out');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const isOwn = (name: string): boolean => ['a.raw', 'partitions.json'].includes(name);
const make = (text: string): Promise<void> =>
  replaceFolder(target, isOwn, async (temporary) => {
    for (const name of ['a.raw', 'partitions.json']) writeFileSync(join(temporary, name), text);
  });

describe('replaceFolder', () => {
  it('leaves one whole output, and nothing else, of many at once', async () => {
    const texts = Array.from({ length: 8 }, (_, i) => `${i}`);
    await Promise.all(texts.map(make));
    expect(readdirSync(folder)).toEqual(['out']);
    expect(readdirSync(target).sort()).toEqual(['a.raw', 'partitions.json']);
    const [raw, description] = ['a.raw', 'partitions.json'].map((name) =>
      readFileSync(join(target, name), 'utf8'),
    );
    expect(texts).toContain(raw);
    expect(description).toBe(raw);
  });

  it('does not replace what came there meanwhile', async () => {
    rmSync(target, { recursive: true, force: true });
    const done = replaceFolder(target, isOwn, async (temporary) => {
      writeFileSync(join(temporary, 'a.raw'), 'new');
      await make('other');
      writeFileSync(join(target, 'notes.txt'), 'mine');
    });
    await expect(done).rejects.toMatchObject({ code: 'output.not-replaceable' });
    expect(readFileSync(join(target, 'notes.txt'), 'utf8')).toBe('mine');
    expect(readdirSync(folder)).toEqual(['out']);
  });
});
