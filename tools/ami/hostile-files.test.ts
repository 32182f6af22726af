import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { lockState } from './state-lock.js';
import { type LocalAws, startLocalAws } from './test-support/local-aws.js';
import { compareSnapshot, image, MIB, upload, when } from './test-support/upload-fixture.js';

let aws: LocalAws;
afterEach(() => aws.close());

const stateFile = (): string => join(aws.folder, 'state');

/** An upload of four blocks that is refused at its end; gives the lines of its state file. */
async function unfinished(): Promise<string[]> {
  aws = await startLocalAws(
    when(/completion/, (n) => (n === 0 ? { answer: { status: 403 } } : undefined)),
  );
  image(aws);
  await expect(upload(aws)).rejects.toMatchObject({ code: 'ami.access-denied' });
  return readFileSync(stateFile(), 'utf8').trimEnd().split('\n');
}

function withHeader(line: string, change: object): string {
  return JSON.stringify({ ...JSON.parse(line), ...change });
}

const START = { VolumeSize: 1, ClientToken: 'a', Description: 'b', Timeout: 60 };

function writeManifest(more: object = {}): string {
  const manifest = join(aws.folder, 'manifest.json');
  writeFileSync(
    manifest,
    JSON.stringify({
      ...{ version: 1, platform: 'nitrotpm', hashAlgorithm: 'SHA384' },
      measurementSets: [{ label: 'a', pcrs: { 4: 'ab'.repeat(48), 12: '00'.repeat(48) } }],
      ...more,
    }),
  );
  return manifest;
}

describe('a state file', () => {
  it.each<[string, (header: string) => string, string]>([
    ['nothing in it', () => '', 'ami.state-unusable'],
    ['half a header', (header) => header.slice(0, 40), 'ami.state-unusable'],
    ['null for a header', () => 'null\n', 'ami.state-unusable'],
    ['no tags', (h) => `${withHeader(h, { start: START })}\n`, 'ami.state-unusable'],
    [
      'tags of numbers',
      (h) => `${withHeader(h, { start: { ...START, Tags: [{ Key: 1 }] } })}\n`,
      'ami.state-unusable',
    ],
    ['no choice of zeros', (h) => `${withHeader(h, { zeros: 'some' })}\n`, 'ami.state-unusable'],
    ['no time', (h) => `${withHeader(h, { image: { size: 8 * MIB } })}\n`, 'ami.state-unusable'],
    ['another region', (h) => `${withHeader(h, { region: 'us-east-1' })}\n`, 'ami.state-unusable'],
    [
      'another size',
      (h) => `${withHeader(h, { image: { size: 1, mtimeMs: 1 } })}\n`,
      'ami.image-changed',
    ],
    [
      'another form',
      (h) => `${withHeader(h, { format: 'tee-ami-upload/9' })}\n`,
      'ami.state-unusable',
    ],
  ])('with %s is refused, and kept', async (_, change, code) => {
    const [header = ''] = await unfinished();
    writeFileSync(stateFile(), change(header));
    const before = readFileSync(stateFile());
    await expect(upload(aws, { resume: true })).rejects.toMatchObject({ code });
    expect(readFileSync(stateFile())).toEqual(before);
    expect(aws.ec2.images.size).toBe(0);
  });

  it.each<[string, (lines: string[]) => string]>([
    ['a line that was cut', (lines) => lines.join('\n').slice(0, -3)],
    ['noise behind its lines', (lines) => `${lines.join('\n')}\n\0\0\0`],
    [
      'a block beyond the image',
      (lines) => `${lines.join('\n')}\nb 999999999 ${'A'.repeat(43)}=\n`,
    ],
  ])('with %s is used as far as it goes', async (_, change) => {
    const lines = await unfinished();
    writeFileSync(stateFile(), change(lines));
    const made = await upload(aws, { resume: true });
    expect(await compareSnapshot(aws, join(aws.folder, 'image.raw'), made.snapshotId)).toBe(0);
    expect(existsSync(stateFile())).toBe(false);
  });

  it('that says of another digest that it was acknowledged stops the upload', async () => {
    const lines = await unfinished();
    lines[2] = `b ${lines[2]?.split(' ')[1]} ${'A'.repeat(43)}=`;
    writeFileSync(stateFile(), `${lines.join('\n')}\n`);
    await expect(upload(aws, { resume: true })).rejects.toMatchObject({
      code: 'ami.image-changed',
    });
    expect(aws.ec2.images.size).toBe(0);
  });

  it('of blocks that the service never had does not end in an AMI', async () => {
    const lines = await unfinished();
    const [header, snapshot, ...blocks] = lines;
    aws.store.snapshots.get(snapshot?.split(' ')[1] ?? '')?.digests.clear();
    writeFileSync(stateFile(), `${[header, snapshot, ...blocks].join('\n')}\n`);
    await expect(upload(aws, { resume: true })).rejects.toMatchObject({
      code: 'ami.service-failed',
    });
    expect(aws.ec2.images.size).toBe(0);
  });

  it('must be a file, and no link to one', async () => {
    aws = await startLocalAws();
    image(aws);
    mkdirSync(join(aws.folder, 'folder'));
    writeFileSync(join(aws.folder, 'victim'), 'text\n');
    symlinkSync(join(aws.folder, 'victim'), join(aws.folder, 'link'));
    symlinkSync(join(aws.folder, 'nowhere'), join(aws.folder, 'dangling'));
    spawnSync('mkfifo', [join(aws.folder, 'pipe')]);
    for (const [name, code] of [
      ['folder', 'file.unwritable'],
      ['link', 'file.unwritable'],
      ['dangling', 'file.unwritable'],
      ['pipe', 'ami.state-unusable'],
      ['/dev/null', 'ami.state-unusable'],
    ] as const)
      for (const resume of [true, false]) {
        const at = name.startsWith('/') ? name : join(aws.folder, name);
        const error = await upload(aws, { stateFile: at, resume }).catch((reason) => reason);
        expect([name, error.code]).toEqual([name, code]);
      }
    expect(readFileSync(join(aws.folder, 'victim'), 'utf8')).toBe('text\n');
    expect(existsSync(join(aws.folder, 'nowhere'))).toBe(false);
    expect(aws.store.snapshots.size).toBe(0);
  });

  it('that somebody removed does not turn success into failure', async () => {
    aws = await startLocalAws();
    image(aws);
    const made = await upload(aws, {
      onProgress: ({ doing }) => doing === 'registering' && unlinkSync(stateFile()),
    });
    expect(aws.ec2.images.has(made.imageId)).toBe(true);
  });

  it('is resumed with the manifest that it began with', async () => {
    await unfinished();
    const manifest = writeManifest();
    await expect(upload(aws, { resume: true, manifest })).rejects.toMatchObject({
      code: 'ami.state-unusable',
      expected: expect.stringContaining('manifest none'),
    });
  });

  it('serves one upload at a time', async () => {
    await unfinished();
    const both = await Promise.allSettled([1, 2].map(() => upload(aws, { resume: true })));
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const { reason } = both.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect(reason).toMatchObject({ code: 'ami.state-unusable' });
    expect(existsSync(`${stateFile()}.lock`)).toBe(false);
  });

  it('is locked by a process that runs, not by one that ended', async () => {
    aws = await startLocalAws();
    const lock = `${stateFile()}.lock`;
    const startOf = (pid: number): string =>
      readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[19] ?? '';
    writeFileSync(lock, `${process.ppid} ${startOf(process.ppid)}\n`);
    expect(() => lockState(stateFile())).toThrow(/ami\.state-unusable.*process/);
    for (const text of [`${process.ppid} 1\n`, `${process.pid} 1\n`, '4194304 5\n', '', 'x']) {
      writeFileSync(lock, text);
      lockState(stateFile())();
      expect(existsSync(lock)).toBe(false);
    }
  });
});

describe('an image', () => {
  it('that is a pipe or a device is refused at once', async () => {
    aws = await startLocalAws();
    const pipe = join(aws.folder, 'pipe');
    spawnSync('mkfifo', [pipe]);
    for (const path of [pipe, '/dev/zero', aws.folder])
      await expect(upload(aws, { image: path })).rejects.toMatchObject({ code: 'file.unreadable' });
  });

  it.each<[string, number]>([
    ['grows', 9 * MIB],
    ['shrinks', 2 * MIB],
  ])('that %s during the upload does not become an AMI', async (_, bytes) => {
    aws = await startLocalAws();
    const path = image(aws);
    const { atime, mtime } = statSync(path);
    const changing = upload(aws, {
      concurrency: 1,
      onProgress: ({ sentBlocks }) => {
        if (sentBlocks !== 1) return;
        truncateSync(path, bytes);
        utimesSync(path, atime, mtime);
      },
    });
    await expect(changing).rejects.toMatchObject({ code: 'ami.image-changed' });
    expect(aws.ec2.images.size).toBe(0);
  });

  it.each(['upload', 'digest'])('of terabytes of holes: %s stops when told', async (what) => {
    aws = await startLocalAws();
    const path = image(aws, 8 * 2 ** 40, [0]);
    const manifest = writeManifest({ provenance: { imageDigest: 'ab'.repeat(32) } });
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 500);
    const started = performance.now();
    await expect(
      upload(aws, { image: path, signal: stop.signal, ...(what === 'digest' && { manifest }) }),
    ).rejects.toMatchObject({ code: 'ami.interrupted' });
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
