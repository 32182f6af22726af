import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { havePrograms } from '../../agent/testing/start-swtpm.js';
import { requireTools } from '../build/host-tools.js';
import { runsGuests } from './accelerator.js';

const COMMAND = fileURLToPath(new URL('../bin/tee-image.js', import.meta.url));
const have = havePrograms('qemu-system-x86_64', 'swtpm');
const built = existsSync(fileURLToPath(new URL('../../dist/tee-image.js', import.meta.url)));
if (!built) {
  if (process.env.CI !== undefined) throw new Error('tools/dist is missing: npm run build');
  console.warn('SKIPPED: tee-image boot, because tools/dist is missing (npm run build)');
}

describe.skipIf(!have || !built)('tee-image boot', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tee-image-boot-test-'));
  // A table without partitions: firmware starts, and finds nothing to boot.
  const disk = join(folder, 'empty.raw');
  const bytes = Buffer.alloc(1024 * 1024);
  bytes.write('EFI PART', 512);
  writeFileSync(disk, bytes);
  const temporary = join(folder, 'tmp');
  const manifest = join(folder, 'manifest.json');
  writeFileSync(manifest, JSON.stringify({ PCR4: 'ab'.repeat(48), PCR12: '00'.repeat(48) }));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  beforeEach(() => mkdirSync(temporary, { recursive: true }));

  const env = { ...process.env, TMPDIR: temporary };
  function start(...args: readonly string[]): ChildProcess {
    return spawn(process.execPath, [COMMAND, 'boot', disk, '--memory', '256', ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }
  function run(...args: readonly string[]) {
    const all = [COMMAND, 'boot', disk, '--memory', '256', ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8', env });
    return { status, stdout, stderr };
  }
  /** Neither processes nor files of ours. */
  function expectNothingLeft(): void {
    expect(readdirSync(temporary)).toEqual([]);
    expect(runningHere()).toEqual([]);
  }
  function runningHere(): string[] {
    return readdirSync('/proc').filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(temporary);
      } catch {
        return false; // no process, or one that just ended
      }
    });
  }

  it.each(['SIGINT', 'SIGTERM'] as const)('ends everything at %s', async (signal) => {
    const child = start();
    // It says with what it boots once QEMU and swtpm run.
    await new Promise((resolve) => child.stderr?.once('data', resolve));
    expect(readdirSync(temporary)).not.toEqual([]);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    expect(await ended).toBe(130);
    expectNothingLeft();
  });

  it('leaves no guest running when it is killed', async () => {
    const child = start();
    await new Promise((resolve) => child.stderr?.once('data', resolve));
    expect(runningHere().length).toBeGreaterThanOrEqual(2);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    await expect.poll(runningHere, { timeout: 5000 }).toEqual([]);
    rmSync(temporary, { recursive: true });
  });

  it('says that the text did not come in time', () => {
    const { status, stderr } = run('--until', 'never said', '--timeout', '2');
    expect(stderr).toMatch(
      /\ntee-image: boot\.timeout: [^\n]*"never said" on the console[^\n]*\n$/,
    );
    expect(status).toBe(1);
    expectNothingLeft();
  });

  it('without --until, a timeout is an end like another', () => {
    expect(run('--timeout', '1').status).toBe(0);
    expectNothingLeft();
  });

  it('attests nothing when no operating system started', () => {
    const { status, stdout, stderr } = run('--attest', '--manifest', manifest, '--timeout', '3');
    expect(stdout).toContain('The guest is NOT what the manifest says');
    expect(stderr).toMatch(/boot\.pcrs-differ: [^\n]*none did/);
    expect(status).toBe(1);
  });

  it('says in one line that there is no place for temporary files', () => {
    const all = [COMMAND, 'boot', disk, '--timeout', '1'];
    const options = { encoding: 'utf8', env: { ...env, TMPDIR: '/nowhere' } } as const;
    const { status, stderr } = spawnSync(process.execPath, all, options);
    expect(stderr).toMatch(/^tee-image: file\.unwritable: [^\n]*\/nowhere[^\n]*\n$/);
    expect(status).toBe(2);
  });

  it('cannot start what QEMU refuses', () => {
    const code = join(folder, 'firmware');
    mkdirSync(code);
    writeFileSync(join(code, 'OVMF_CODE.fd'), 'no firmware');
    const variables = readFileSync('/usr/share/OVMF/OVMF_VARS_4M.fd');
    writeFileSync(join(code, 'OVMF_VARS.fd'), variables);
    const { status, stderr } = run('--firmware', code, '--timeout', '20');
    expect(stderr).toMatch(/\ntee-image: boot\.failed: [^\n]*\n$/);
    expect(status).toBe(1);
    expectNothingLeft();
  });

  it('runs a few instructions to see whether an accelerator works', async () => {
    const { 'qemu-system-x86_64': qemu } = requireTools(['qemu-system-x86_64']);
    expect(await runsGuests(qemu, 'tcg')).toBe(true);
    expect(await runsGuests('/bin/true', 'kvm')).toBe(false);
    expect(await runsGuests('/nowhere', 'kvm')).toBe(false);
    // Where there is no device, it cannot work; where there is one, only a guest can tell.
    if (!existsSync('/dev/kvm')) expect(await runsGuests(qemu, 'kvm')).toBe(false);
  });
});
