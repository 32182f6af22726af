import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const LAUNCHER = fileURLToPath(new URL('../node/bin/tee-verify.js', import.meta.url));

it('the command runs the built program, and says what to do when there is none', () => {
  const root = mkdtempSync(join(tmpdir(), 'launcher-'));
  try {
    writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
    mkdirSync(join(root, 'node/bin'), { recursive: true });
    const command = join(root, 'node/bin/tee-verify.js');
    cpSync(LAUNCHER, command);
    // Started as a program: it must be executable and name its interpreter.
    const run = () => spawnSync(command, ['a'], { encoding: 'utf8' });

    expect(run()).toMatchObject({
      status: 2,
      stdout: '',
      stderr: 'tee-verify: dist/cli.js is missing; run npm run build first\n',
    });
    mkdirSync(join(root, 'dist'));
    writeFileSync(join(root, 'dist/cli.js'), 'console.log(process.argv[2]); process.exitCode = 1;');
    expect(run()).toMatchObject({ status: 1, stdout: 'a\n', stderr: '' });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
