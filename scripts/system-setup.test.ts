import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('system-setup.sh', import.meta.url));
let folder: string;

/** Puts a program of our own before Debian's. */
function program(name: string, body: string): void {
  writeFileSync(join(folder, name), `#!/bin/bash\n${body}\n`);
  chmodSync(join(folder, name), 0o755);
}

function run(list: string, env: Record<string, string> = {}) {
  writeFileSync(join(folder, 'list.txt'), list);
  const { CI: _ci, ...rest } = process.env;
  return spawnSync('bash', [SCRIPT, join(folder, 'list.txt')], {
    encoding: 'utf8',
    env: { ...rest, PATH: `${folder}:${process.env.PATH}`, ...env },
  });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'system-setup-'));
  // "have" is installed, nothing else is.
  program('dpkg-query', `[ "\${@: -1}" = have ] && echo 'install ok installed'`);
  program('apt-get', `echo "$*" >> '${join(folder, 'calls')}'; exit "\${APT_STATUS:-0}"`);
  program('sudo', 'shift; exec "$@"');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const calls = () => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');

describe('system-setup.sh', () => {
  it('does nothing when all is installed', () => {
    const { status, stdout } = run('# a comment\nhave\n\nhave # twice\n', { CI: '1' });
    expect([status, stdout]).toEqual([0, 'system packages: all installed\n']);
    expect(calls).toThrow('ENOENT');
  });

  it('installs what is missing, once', () => {
    expect(run('b\nhave\na\nb\n').status).toBe(0);
    expect(calls()).toHaveLength(2);
    expect(calls()[0]).toMatch(/ update$/);
    expect(calls()[1]).toMatch(/ install -y --no-install-recommends a b$/);
  });

  it('fails in CI when it cannot, and says what is skipped elsewhere', () => {
    const inCi = run('a\n', { CI: 'true', APT_STATUS: '100' });
    expect([inCi.status, inCi.stderr]).toEqual([
      1,
      'system packages: could not install a; in CI that is a failure\n',
    ]);
    const elsewhere = run('a\n', { APT_STATUS: '100' });
    expect(elsewhere.status).toBe(0);
    expect(elsewhere.stderr).toContain('SKIPPED: could not install a');
  });
});
