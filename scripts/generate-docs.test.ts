import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('generate-docs.mjs', import.meta.url));
let root: string;

const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const run = (...args: string[]) =>
  spawnSync(process.execPath, [SCRIPT, '--root', root, ...args], { encoding: 'utf8' });

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'docs-'));
  write('package.json', '{"type":"module"}');
  write(
    'build/src/result/codes.js',
    `export const CODES = { 'a.b': { code: 'a.b', meaning: 'x | y', hint: 'Do z.' } };`,
  );
  write('src/index.ts', '/** What the entry is for. */\nexport {};\n');
  write(
    'dist/types/src/index.d.ts',
    `export { type Shape as Form, twice } from './deep.js';\nexport * from './all.js';\n`,
  );
  write(
    'dist/types/src/deep.d.ts',
    `import { one } from './all.js';\n/** A shape. */\nexport interface Shape {\n    /** In bytes. */\n    size: number;\n}\n` +
      `/** Adds. */\nexport declare function twice(a: number): number;\nexport declare function twice(a: string): string;\nexport { one };\n`,
  );
  write('dist/types/src/all.d.ts', `/** The number. */\nexport declare const one: 1;\n`);
  write('node/index.ts', '');
  write('dist/types/node/index.d.ts', `export * from '../src/index.js';\n`);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('generate-docs', () => {
  it('writes every public name with its comment and signature', () => {
    expect(run().stderr).toBe('');
    const page = read('docs/api/tee-verify.md');
    expect(page).toContain('# tee-verify\n\nWhat the entry is for.\n');
    expect(page).toContain('## Form\n\n_interface_\n\nA shape.\n');
    expect(page).toContain('  /** In bytes. */\n  size: number;\n');
    expect(page).toContain(
      'function twice(a: number): number;\nfunction twice(a: string): string;',
    );
    expect(page).toContain('## one\n\n_constant_\n\nThe number.\n\n```ts\nconst one: 1;\n```');
    expect(read('docs/api/tee-verify-node.md')).toContain('- [one](tee-verify.md#one)');
    expect(read('docs/codes.md')).toContain('| `a.b` | x \\| y | Do z. |');
    expect(run('--check').status).toBe(0);
  });

  it('names the packages whose code is bundled', () => {
    const bundled = [{ name: 'left', version: '1.2.3', license: 'MIT', texts: ['Be free.'] }];
    write('build/bundled-packages.json', JSON.stringify(bundled));
    expect(run().status).toBe(0);
    expect(read('THIRD-PARTY.md')).toContain('## left 1.2.3 (MIT)\n\n```\nBe free.\n```\n');
    expect(existsSync(join(root, 'tools/THIRD-PARTY.md'))).toBe(false);
    write('build/bundled-packages-tools.json', JSON.stringify(bundled));
    expect(run().status).toBe(0);
    expect(read('tools/THIRD-PARTY.md')).toContain('tee-tools is under');
    expect(read('tools/THIRD-PARTY.md')).toContain('## left 1.2.3 (MIT)\n\n```\nBe free.\n```\n');
    write('build/bundled-packages.json', '[]');
    expect(run('--check').stderr).toBe('THIRD-PARTY.md is stale: run npm run docs\n');
  });

  it('refuses an export without a doc comment, and writes nothing', () => {
    write('dist/types/src/all.d.ts', `export declare const one: 1;\n`);
    const { status, stderr } = run();
    expect([status, stderr]).toEqual([1, 'tee-verify: one has no doc comment (src/index.ts)\n']);
    expect(existsSync(join(root, 'docs'))).toBe(false);
  });

  it('refuses a hint that names a page that is not there', () => {
    write(
      'build/src/result/codes.js',
      `export const CODES = { 'a.b': { code: 'a.b', meaning: 'x', hint: 'See docs/form.md.' } };`,
    );
    expect(run().stderr).toBe('a.b: its hint names docs/form.md, which does not exist\n');
    write('docs/form.md', '');
    expect(run().status).toBe(0);
  });

  it.each<[string, () => void, string]>([
    ['a changed page', () => write('docs/codes.md', 'old'), 'docs/codes.md is stale'],
    [
      'a missing page',
      () => rmSync(join(root, 'docs/api/tee-verify.md')),
      'tee-verify.md is stale',
    ],
    ['a page too many', () => write('docs/api/old.md', ''), 'docs/api/old.md belongs to no entry'],
    ['a changed source', () => write('src/index.ts', '/** New. */'), 'tee-verify.md is stale'],
  ])('finds %s stale', (_name, change, complaint) => {
    expect(run().status).toBe(0);
    change();
    const { status, stderr } = run('--check');
    expect(status).toBe(1);
    expect(stderr).toContain(complaint);
  });

  it('fails when nothing was built', () => {
    rmSync(join(root, 'dist'), { recursive: true });
    expect(run('--check').stderr).toContain('run npm run build first');
  });
});
