import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('readme-examples.mjs', import.meta.url));
let root: string;

/** Runs the examples of a README beside a small package that stands for the built one. */
function run(...readme: string[]) {
  writeFileSync(join(root, 'README.md'), readme.join('\n'));
  return spawnSync(process.execPath, [SCRIPT, '--root', root], { encoding: 'utf8' });
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'readme-'));
  writeFileSync(
    join(root, 'package.json'),
    JSON.stringify({
      name: 'tee-verify',
      type: 'module',
      exports: './index.js',
      bin: { 'tee-verify': 'command.js' },
    }),
  );
  writeFileSync(join(root, 'index.js'), 'export const answer = 42;');
  writeFileSync(join(root, 'command.js'), '#!/usr/bin/env node\nprocess.exitCode = 1;\n', {
    mode: 0o755,
  });
  mkdirSync(join(root, 'data'));
  writeFileSync(join(root, 'data/x.json'), '{}');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('readme-examples', () => {
  it('runs the marked blocks in order and leaves the others alone', () => {
    const { status, stdout, stderr } = run(
      '# Title',
      '```sh',
      'exit 9',
      '```',
      '```sh example',
      'test -f data/x.json; echo made > file.txt',
      '```',
      '1. In a list:',
      '   ```js example',
      "   import { readFileSync } from 'node:fs';",
      "   import { answer } from 'tee-verify';",
      "   if (answer !== 42 || readFileSync('file.txt', 'utf8') !== 'made\\n') process.exitCode = 1;",
      '   ```',
      '~~~sh example exit=1',
      'npx --no-install tee-verify bundle.json',
      '~~~',
    );
    expect(stderr).toBe('');
    expect(stdout.replace(/\d+\.\d s/g, '0 s')).toBe(
      'ok     README.md:5 (sh, 0 s)\nok     README.md:9 (js, 0 s)\nok     README.md:14 (sh, 0 s)\nexamples: 3 run, 0 failed\n',
    );
    expect(status).toBe(0);
  });

  it.each<[string, string[], string]>([
    ['a script that throws', ['```js example', "throw new Error('broken')", '```'], 'broken'],
    ['a missing export', ['```js example', "import { x } from 'tee-verify'; x;", '```'], "'x'"],
    ['a command in the middle', ['```sh example', 'false', 'true', '```'], 'status 0, got 1'],
    ['a command in a pipe', ['```sh example', 'false | cat', '```'], 'status 0, got 1'],
    ['an unset variable', ['```sh example', 'echo "$NO_SUCH"', '```'], 'NO_SUCH'],
    ['an exit status not met', ['```sh example exit=2', 'true', '```'], 'status 2, got 0'],
    ['an unknown language', ['```ruby example', '```'], 'README.md:1: an example is js or sh'],
    ['a mark in the wrong place', ['```sh exit=1 example', '```'], 'README.md:1: expected'],
    ['an open block', ['```sh example', 'true'], 'README.md:1: the block is never closed'],
    ['no example at all', ['```js', '```'], 'there are no examples'],
  ])('fails for %s', (_name, readme, complaint) => {
    const { status, stderr } = run(...readme);
    expect(status).toBe(1);
    expect(stderr).toContain(complaint);
  });
});
