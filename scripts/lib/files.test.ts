import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const { listFiles } = (await import(new URL('files.mjs', import.meta.url).href)) as {
  listFiles: (folder: string) => string[];
};

it('skips what is made, and not a folder of sources with the same name', () => {
  const folder = mkdtempSync(join(tmpdir(), 'files-'));
  try {
    for (const path of [
      'build/made.js',
      'dist/made.js',
      'tools/dist/made.js',
      'tools/image/build/a.ts',
    ]) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      writeFileSync(join(folder, path), '');
    }
    expect(listFiles(folder)).toEqual(['tools/image/build/a.ts']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
