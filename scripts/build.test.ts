import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
let root: string;

const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const load = (path: string) => import(pathToFileURL(join(root, path)).href);
const build = () =>
  spawnSync(process.execPath, [join(REPOSITORY, 'scripts/build.mjs'), '--root', root], {
    encoding: 'utf8',
  });

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'build-'));
  for (const file of ['tsconfig.json', 'tsconfig.build.json']) {
    cpSync(join(REPOSITORY, file), join(root, file));
  }
  symlinkSync(join(REPOSITORY, 'node_modules'), join(root, 'node_modules'));
  write('package.json', '{ "type": "module" }');
  write('src/failure.ts', 'export class Failure extends Error {}\n');
  write(
    'src/index.ts',
    `export { Failure } from './failure.js';
    export const later = (): Promise<unknown> => import('@noble/hashes/sha2.js');\n`,
  );
  write('src/result/index.ts', `export { Failure } from '../failure.js';\n`);
  write('src/index.test.ts', `throw new Error('a test is not built');\n`);
  write('browser/index.ts', `export * from '../src/index.js';\n`);
  write(
    'node/cli.ts',
    `import { Command } from 'commander';\nconsole.log(new Command('x').name());\n`,
  );
  write('tools/agent/index.ts', `export { Failure } from 'tee-verify';\n`);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('build', () => {
  it('bundles the entries that exist and names the others', async () => {
    const { status, stdout, stderr } = build();
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('skipped: src/measure/index.ts does not exist');
    expect(stdout).toMatch(/ {2}dist\/index\.js {2}\d+\.\d kB, gzip \d+\.\d kB\n/);
    expect(readdirSync(root).filter((name) => name.startsWith('.build'))).toEqual([]);

    const main = await load('dist/index.js');
    expect((await load('dist/result.js')).Failure).toBe(main.Failure);
    expect(read('dist/index.js')).toContain(`import('@noble/hashes/sha2.js')`);
    expect(existsSync(join(root, 'dist/types/src/index.d.ts'))).toBe(true);
    expect(existsSync(join(root, 'build/src/index.test.js'))).toBe(false);
  });

  it('builds the command-line parser into the command and names its licence', () => {
    // Out of reach of node_modules: nothing may be imported from there.
    const elsewhere = mkdtempSync(join(tmpdir(), 'command-'));
    try {
      cpSync(join(root, 'dist'), elsewhere, { recursive: true });
      writeFileSync(join(elsewhere, 'package.json'), '{ "type": "module" }');
      const { stdout } = spawnSync(process.execPath, ['cli.js'], {
        cwd: elsewhere,
        encoding: 'utf8',
      });
      expect(stdout).toBe('x\n');
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
    const bundled = JSON.parse(read('build/bundled-packages.json')) as { name: string }[];
    expect(bundled.map(({ name }) => name)).toEqual(['@noble/hashes', 'commander']);
  });

  it('gives browsers one small file, and the rest on demand', async () => {
    const page = read('dist/browser.js');
    expect(page).not.toContain('@noble');
    expect(page.length).toBeLessThan(1000);
    const { sha384 } = await (await load('dist/browser.js')).later();
    expect(sha384(new Uint8Array())).toHaveLength(48);
    const { sources, sourcesContent } = JSON.parse(read('dist/browser.js.map'));
    expect(sources).toContain('../src/index.ts');
    expect(sourcesContent[sources.indexOf('../src/index.ts')]).toBe(read('src/index.ts'));
    expect(read('build/size/browser.js').length).toBeLessThan(1000);
  });

  it('leaves tee-verify to its own package in the tools', () => {
    expect(read('tools/dist/agent.js')).toContain(`from 'tee-verify'`);
    expect(existsSync(join(root, 'tools/dist/types/agent/index.d.ts'))).toBe(true);
  });

  it('fails on a type error, and on an import that is not there', () => {
    write('src/index.ts', `export const size: number = 'text';\n`);
    expect(build()).toMatchObject({ status: 1, stdout: expect.stringContaining('TS2322') });
    write('src/index.ts', `// @ts-expect-error\nexport { x } from 'no-such-package';\n`);
    expect(build()).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('no-such-package'),
    });
  });
});
