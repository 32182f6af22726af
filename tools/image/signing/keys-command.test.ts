import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const COMMAND = fileURLToPath(new URL('../bin/tee-image.js', import.meta.url));
const built = existsSync(fileURLToPath(new URL('../../dist/tee-image.js', import.meta.url)));
if (!built) {
  if (process.env.CI !== undefined) throw new Error('tools/dist is missing: npm run build');
  console.warn('SKIPPED: tee-image keys, because tools/dist is missing (npm run build)');
}

describe.skipIf(!built)('tee-image keys', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tee-image-keys-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const run = (...args: readonly string[]) => {
    const all = [COMMAND, 'keys', ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
    return { status, stdout, stderr };
  };

  it('new makes an identity, once', () => {
    const out = join(folder, 'keys');
    const made = run('new', '--out', out, '--name', 'payments');
    const owner = readFileSync(join(out, 'owner-guid.txt'), 'utf8').trim();
    expect(made).toEqual({
      ...{ status: 0, stderr: '' },
      stdout: `${out}: owner ${owner}; keep the folder, and keep it secret\n`,
    });
    const again = run('new', '--out', out);
    expect([again.status, again.stdout]).toEqual([1, '']);
    expect(again.stderr).toMatch(/^tee-image: identity\.exists: [^\n]*\n$/);
    expect(readFileSync(join(out, 'owner-guid.txt'), 'utf8').trim()).toBe(owner);
    expect(readdirSync(folder)).toEqual(['keys']);
  });

  it.each<[readonly string[], number, RegExp]>([
    [['new'], 2, /required option '--out/],
    [['new', '--out', join(folder, 'no'), '--owner-guid', 'x'], 2, /usage\.option-invalid/],
    [['new', '--out', join(folder, 'none/keys')], 2, /file\.unwritable/],
    [['old'], 2, /unknown command/],
  ])('%j: the exit status, and no stack trace', (args, status, text) => {
    const answer = run(...args);
    expect(answer.status).toBe(status);
    expect(answer.stderr).toMatch(text);
    expect(answer.stderr).not.toMatch(/\n\s+at /);
  });

  it('explains itself', () => {
    const { status, stdout } = run('new', '--help');
    expect(status).toBe(0);
    for (const text of ['PCR7', 'Exit status', 'db.esl', '--owner-guid'])
      expect(stdout).toContain(text);
  });
});
