import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  countPuts,
  type LocalAws,
  sentAgain,
  startLocalAws,
  TEST_ENVIRONMENT,
  TEST_REGION,
} from './test-support/local-aws.js';
import { makeImage } from './test-support/make-image.js';
import { readSnapshot } from './test-support/read-snapshot.js';

const COMMAND = fileURLToPath(new URL('bin/tee-ami.js', import.meta.url));
const LIBRARY = new URL('../dist/ami.js', import.meta.url);
const BLOCK_BYTES = 524_288;
const FAULTS = { seed: 3, throttle: 0.2, reset: 0.05, corrupt: 0.01 };

let aws: LocalAws;
afterEach(() => aws?.close());

beforeAll(() => {
  if (!existsSync(LIBRARY)) throw new Error('tee-ami is not built: npm run build');
});

interface Run {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(...args: string[]): { child: ChildProcess; ended: Promise<Run> } {
  return startNode([COMMAND, ...args]);
}

function startNode(args: string[]): { child: ChildProcess; ended: Promise<Run> } {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...TEST_ENVIRONMENT, AWS_REGION: TEST_REGION },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const ended = new Promise<Run>((resolve) => {
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  return { child, ended };
}

const tool = (...args: string[]): Promise<Run> => start(...args).ended;
const create = (...args: string[]): string[] => [
  'create',
  join(aws.folder, 'image.raw'),
  '--endpoint',
  aws.url,
  ...args,
];

function image(blocks: number): string {
  return makeImage(join(aws.folder, 'image.raw'), {
    bytes: blocks * BLOCK_BYTES - 100,
    dataBlocks: Array.from({ length: blocks }, (_, i) => i),
  });
}

async function untilPuts(puts: number): Promise<void> {
  while (countPuts(aws.server.requests) < puts) await sleep(2);
}

/** Indices of the blocks that the state file says were acknowledged. */
function inStateFile(): Set<string> {
  const text = readFileSync(join(aws.folder, 'image.raw.tee-ami'), 'utf8');
  return new Set([...text.matchAll(/^b (\d+) \S{44}$/gm)].map(([, index]) => `${index}`));
}

describe('tee-ami create', () => {
  it('completes an identical snapshot in spite of faults, a SIGKILL and --resume', async () => {
    aws = await startLocalAws(FAULTS);
    const path = image(200);
    const first = start(...create('--concurrency', '16'));
    await untilPuts(90);
    first.child.kill('SIGKILL');
    expect((await first.ended).signal).toBe('SIGKILL');
    const known = inStateFile();
    expect(known.size).toBeGreaterThan(30);
    expect(known.size).toBeLessThan(200);

    const before = aws.server.requests.length;
    const second = await tool(...create('--resume', '--json'));
    expect(second).toMatchObject({ status: 0, stderr: '' });
    const made = JSON.parse(second.stdout);
    expect(made).toMatchObject({ blocks: 200, sentBlocks: 200 - known.size });

    // Within a run nothing is sent again; what the first run had acknowledged, neither.
    const { requests } = aws.server;
    const [firstRun, secondRun] = [requests.slice(0, before), requests.slice(before)];
    expect(sentAgain(firstRun)).toEqual([]);
    expect(sentAgain(secondRun)).toEqual([]);
    const twice = secondRun.filter(
      ({ method, path: put }) => method === 'PUT' && known.has(put.split('/').at(-1) ?? ''),
    );
    expect(twice).toEqual([]);
    expect(aws.store.snapshots.size).toBe(1);
    const bytes = readFileSync(path);
    const contents = aws.store.contents(made.snapshotId, bytes.length);
    expect(Buffer.compare(contents.subarray(0, bytes.length), bytes)).toBe(0);
    expect(existsSync(`${path}.tee-ami`)).toBe(false);
  });

  it('stops at Ctrl-C with 130, says what is left, and goes on', async () => {
    aws = await startLocalAws({ slow: 1, slowMs: 30 });
    const path = image(200);
    const first = start(...create('--concurrency', '4'));
    await untilPuts(20);
    first.child.kill('SIGINT');
    const { status, stdout, stderr } = await first.ended;
    expect({ status, stdout }).toEqual({ status: 130, stdout: '' });
    expect(stderr).toMatch(
      /^tee-ami: ami\.interrupted: [^\n]*snap-[0-9a-f]+ \(pending\) stays in eu-west-1[^\n]*--resume[^\n]*tee-ami delete snap-[^\n]*\n$/,
    );
    const known = inStateFile().size;
    const second = await tool(...create('--resume', '--json', '--concurrency', '64'));
    expect(second.status).toBe(0);
    const made = JSON.parse(second.stdout);
    expect(made.sentBlocks).toBe(200 - known);
    const bytes = readFileSync(path);
    const at = { endpoint: aws.url, region: TEST_REGION };
    expect(Buffer.compare(await readSnapshot(at, made.snapshotId, bytes.length), bytes)).toBe(0);
  });

  it('ends at the second Ctrl-C even when nothing answers any more', async () => {
    aws = await startLocalAws({
      slow: 1,
      slowMs: 60_000,
      only: ({ path }) => path !== '/snapshots' && path.startsWith('/snapshots'),
    });
    image(10);
    const { child, ended } = start(...create());
    while (aws.store.snapshots.size === 0) await sleep(5);
    await sleep(100);
    child.kill('SIGINT');
    child.kill('SIGINT');
    expect((await ended).status).toBe(130);
  });

  it('keeps its memory below 256 MiB, with the most blocks under way', async () => {
    aws = await startLocalAws();
    const blocks = 800; // 400 MiB
    image(blocks);
    const script = `
      import { readFileSync } from 'node:fs';
      import { createAmi } from ${JSON.stringify(LIBRARY.href)};
      const [image, endpoint] = process.argv.slice(1);
      await createAmi({ image, endpoint, name: 'abc', stateFile: image + '.state', concurrency: 128, pollMs: 5 });
      // Not resourceUsage: its maximum includes the parent's at the time of the fork.
      console.log(/VmHWM:\\s*(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);`;
    const run = await startNode([
      '--input-type=module',
      '-e',
      script,
      join(aws.folder, 'image.raw'),
      aws.url,
    ]).ended;
    expect(run.status).toBe(0);
    expect(countPuts(aws.server.requests)).toBe(blocks);
    expect(Number(run.stdout) / 1024).toBeGreaterThan(50);
    expect(Number(run.stdout) / 1024).toBeLessThan(256);
  });

  it('prints what it made, and deletes it again', async () => {
    aws = await startLocalAws();
    image(3);
    const made = await tool(...create('--name', 'payments 7', '--tag', 'a=b', '--tag', 'c='));
    expect(made).toMatchObject({ status: 0, stderr: '' });
    const form =
      /^AMI {7}(ami-[0-9a-f]+)\nsnapshot {2}(snap-[0-9a-f]+)\nregion {4}eu-west-1\nname {6}payments 7\nblocks {4}3, 0 of them zeros; 0 of zeros left out\n$/;
    const [, imageId = '', snapshotId = ''] = form.exec(made.stdout) ?? [];
    expect(aws.ec2.images.get(imageId)).toMatchObject({ name: 'payments 7', snapshotId });
    const removed = await tool('delete', imageId, '--endpoint', aws.url);
    expect(removed).toMatchObject({
      status: 0,
      stdout: `deregistered ${imageId}\ndeleted      ${snapshotId}\n`,
    });
    expect(aws.store.snapshots.size).toBe(0);
    const again = await tool('delete', imageId, '--endpoint', aws.url);
    expect(again).toMatchObject({ status: 1, stdout: '' });
    expect(again.stderr).toMatch(/^tee-ami: ami\.not-found: .*\n$/);
  });

  it.each<[string, string[], number, RegExp]>([
    ['a name that is too short', ['--name', 'ab'], 2, /3 to 128/],
    ['a name with other characters', ['--name', 'a*b?c'], 2, /3 to 128/],
    ['a tag without value', ['--tag', 'a'], 2, /key=value/],
    ['a tag of ours', ['--tag', 'tee-verify:x=1'], 2, /taken/],
    ['a tag of AWS', ['--tag', 'aws:x=1'], 2, /taken/],
    ['a tag twice', ['--tag', 'a=1', '--tag', 'a=2'], 2, /twice/],
    ['no architecture', ['--arch', 'riscv'], 2, /x86_64, arm64/],
    ['too many blocks at once', ['--concurrency', '129'], 2, /1 to 128/],
    ['a password', ['--endpoint', 'http://me:secret@127.0.0.1:1'], 2, /without user name/],
    ['no address', ['--endpoint', 'localhost:1'], 2, /address such as/],
    ['no UEFI data', ['--uefi-data', '/nonexistent'], 2, /file\.unreadable/],
    ['a manifest that is none', ['--manifest', COMMAND], 1, /manifest\./],
    ['no state file', ['--state', '/nonexistent/state'], 2, /file\.unwritable.*--state/],
    ['no image', ['extra'], 2, /too many arguments/],
  ])('refuses %s with its exit status, in one line', async (_, args, status, message) => {
    aws = await startLocalAws();
    image(2);
    const run = await tool(...create(...args));
    expect(run).toMatchObject({ status, stdout: '' });
    expect(run.stderr).toMatch(message);
    expect(run.stderr).not.toMatch(/\n\s+at /);
    expect(aws.store.snapshots.size).toBe(0);
  });

  it('explains itself', async () => {
    aws = await startLocalAws();
    for (const args of [['--help'], ['create', '--help'], ['delete', '--help']]) {
      const { status, stdout } = await tool(...args);
      expect(status).toBe(0);
      expect(stdout).toMatch(/tee-ami/);
    }
    writeFileSync(join(aws.folder, 'x'), 'no image');
    const run = await tool('create', join(aws.folder, 'x'), '--name', 'abc');
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^tee-ami: ami\.image-invalid: .*\n$/);
  });
});
