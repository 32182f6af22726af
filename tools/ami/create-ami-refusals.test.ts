import { existsSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { LocalResponse } from '../emulator/local-server.js';
import { createAmi } from './create-ami.js';
import { deleteAmi } from './delete-ami.js';
import { countPuts, type LocalAws, startLocalAws, TEST_REGION } from './test-support/local-aws.js';
import {
  ebsError,
  ec2Error,
  image,
  MIB,
  overwrite,
  upload,
  when,
} from './test-support/upload-fixture.js';

let aws: LocalAws;
afterEach(() => aws.close());

describe('createAmi refuses', () => {
  it.each<[string, (path: string) => void]>([
    ['another time', (path) => utimesSync(path, new Date(), new Date(1e12))],
    ['another size', (path) => truncateSync(path, 20 * MIB)],
    [
      'other data in a block that was sent, under the same time',
      (path) => overwrite(path, 100, Buffer.from('changed')),
    ],
    [
      'zeros in a block that was sent, under the same time',
      (path) => overwrite(path, 524_288, Buffer.alloc(524_288)),
    ],
  ])('to resume with an image of %s', async (_, change) => {
    aws = await startLocalAws();
    const path = image(
      aws,
      16 * MIB,
      Array.from({ length: 32 }, (_unused, i) => i),
    );
    const stop = new AbortController();
    const interrupted = upload(aws, {
      concurrency: 2,
      signal: stop.signal,
      onProgress: ({ sentBlocks }) => sentBlocks === 8 && stop.abort(),
    });
    await expect(interrupted).rejects.toMatchObject({ code: 'ami.interrupted' });
    change(path);
    await expect(upload(aws, { resume: true })).rejects.toMatchObject({
      code: 'ami.image-changed',
      hint: expect.stringMatching(/tee-ami delete snap-/),
    });
    expect(aws.ec2.images.size).toBe(0);
  });

  it('an image that is written during the upload', async () => {
    aws = await startLocalAws();
    const path = image(aws);
    const changing = upload(aws, {
      onProgress: ({ sentBlocks }) => sentBlocks === 2 && utimesSync(path, 1, 1),
    });
    await expect(changing).rejects.toMatchObject({ code: 'ami.image-changed' });
    expect([...aws.store.snapshots.values()].map(({ sealedWith }) => sealedWith)).toEqual([
      undefined,
    ]);
  });

  it('to forget an unfinished upload, or to mix it with another place', async () => {
    aws = await startLocalAws(
      when(/completion/, (n) =>
        n === 0 ? { answer: ebsError(403, 'AccessDeniedException') } : undefined,
      ),
    );
    image(aws);
    await expect(upload(aws)).rejects.toMatchObject({ code: 'ami.access-denied' });
    await expect(upload(aws)).rejects.toMatchObject({
      code: 'ami.unfinished-upload',
      hint: expect.stringMatching(/--resume.*tee-ami delete snap-[0-9a-f]+ --region eu-west-1/),
    });
    await expect(upload(aws, { resume: true, region: 'us-east-1' })).rejects.toMatchObject({
      code: 'ami.state-unusable',
    });
    await upload(aws, { resume: true });
  });

  it('a snapshot that is gone, and says that nothing is left', async () => {
    aws = await startLocalAws(
      when(/completion/, (n) =>
        n === 0 ? { answer: ebsError(403, 'AccessDeniedException') } : undefined,
      ),
    );
    const path = image(aws);
    await expect(upload(aws)).rejects.toMatchObject({ code: 'ami.access-denied' });
    const [snapshotId = ''] = aws.store.snapshots.keys();
    await deleteAmi({ id: snapshotId, region: TEST_REGION, endpoint: aws.url });
    // One block more than was acknowledged.
    const { atime, mtime } = statSync(path);
    overwrite(path, 4 * 524_288, Buffer.alloc(524_288, 1));
    utimesSync(path, atime, mtime);
    await expect(upload(aws, { resume: true })).rejects.toMatchObject({
      code: 'ami.snapshot-gone',
      hint: expect.stringMatching(/Nothing is left in the account/),
    });
  });

  it('a name that is taken, before anything is uploaded', async () => {
    aws = await startLocalAws();
    image(aws);
    const { imageId } = await upload(aws);
    const puts = countPuts(aws.server.requests);
    await expect(upload(aws)).rejects.toMatchObject({
      code: 'ami.name-taken',
      actual: expect.stringContaining(imageId),
      hint: expect.stringMatching(/Nothing was made/),
    });
    expect(countPuts(aws.server.requests)).toBe(puts);
    expect(existsSync(join(aws.folder, 'state'))).toBe(false);
  });

  it.each<[string, object]>([
    ['a short name', { name: 'ab' }],
    ['a name with a wildcard', { name: 'payments*' }],
    ['a name with a line in it', { name: 'pay\nments' }],
    ['a tag of AWS', { tags: [{ key: 'aws:x', value: '1' }] }],
    ['a tag of ours', { tags: [{ key: 'tee-verify:manifest-sha256', value: '1' }] }],
    ['a tag twice', { tags: [1, 2].map(() => ({ key: 'a', value: '1' })) }],
    ['a long tag', { tags: [{ key: 'a', value: 'b'.repeat(257) }] }],
    ['a tag with a line in it', { tags: [{ key: 'a', value: 'b\nc' }] }],
    [
      'too many tags',
      { tags: Array.from({ length: 48 }, (_, i) => ({ key: `k${i}`, value: '' })) },
    ],
  ])('%s, before anything is asked of AWS', async (_, options) => {
    aws = await startLocalAws();
    image(aws);
    await expect(upload(aws, options)).rejects.toMatchObject({ code: 'usage.option-invalid' });
    expect(aws.server.requests).toEqual([]);
  });

  it('what is no disk image', async () => {
    aws = await startLocalAws();
    const path = join(aws.folder, 'image.raw');
    for (const bytes of [Buffer.alloc(0), Buffer.from('QFI\xfb'), Buffer.alloc(MIB)]) {
      writeFileSync(path, bytes);
      await expect(upload(aws)).rejects.toMatchObject({ code: 'ami.image-invalid' });
    }
    await expect(upload(aws, { image: aws.folder })).rejects.toMatchObject({
      code: 'file.unreadable',
    });
    await expect(upload(aws, { image: `${path}x` })).rejects.toMatchObject({
      code: 'file.unreadable',
    });
    await expect(upload(aws, { uefiData: 'AAAA' })).rejects.toMatchObject({
      code: 'uefi-data.malformed',
    });
    image(aws);
    const stateFile = join(aws.folder, 'none/state');
    await expect(upload(aws, { stateFile })).rejects.toMatchObject({ code: 'file.unwritable' });
    writeFileSync(join(aws.folder, 'state'), 'something else\n');
    await expect(upload(aws, { resume: true })).rejects.toMatchObject({
      code: 'ami.state-unusable',
    });
    expect(aws.store.snapshots.size).toBe(0);
  });
});

describe('errors of AWS have codes', () => {
  it.each<[string, RegExp, LocalResponse, string]>([
    [
      'expired credentials',
      /Action=DescribeImages/,
      ec2Error(400, 'RequestExpired'),
      'ami.credentials',
    ],
    [
      'no permission',
      /Action=DescribeImages/,
      ec2Error(403, 'UnauthorizedOperation'),
      'ami.access-denied',
    ],
    [
      'no permission to start',
      /^POST \/snapshots /,
      ebsError(403, 'AccessDeniedException'),
      'ami.access-denied',
    ],
    [
      'too many snapshots',
      /^POST \/snapshots /,
      ebsError(400, 'ConcurrentLimitExceededException'),
      'ami.quota',
    ],
    ['a token that expired', /^PUT /, ebsError(403, 'ExpiredTokenException'), 'ami.credentials'],
    [
      'a block that is refused',
      /^PUT /,
      ebsError(400, 'ValidationException'),
      'ami.service-failed',
    ],
    [
      'an answer without id',
      /^POST \/snapshots /,
      { status: 201, body: '{}' },
      'ami.answer-incomplete',
    ],
  ])('%s', async (_, pattern, answer, code) => {
    aws = await startLocalAws(when(pattern, () => ({ answer })));
    image(aws);
    await expect(upload(aws)).rejects.toMatchObject({ code });
    expect(aws.ec2.images.size).toBe(0);
  });

  it('a snapshot that fails, and one that takes too long', async () => {
    aws = await startLocalAws(undefined, { pendingDescriptions: 1e9 });
    image(aws);
    await expect(upload(aws, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'ami.wait-timeout',
    });
    for (const snapshot of aws.store.snapshots.values()) snapshot.status = 'error';
    await expect(upload(aws, { resume: true })).rejects.toMatchObject({
      code: 'ami.snapshot-failed',
    });
  });

  it('no region, no credentials, nobody there', async () => {
    aws = await startLocalAws();
    image(aws);
    const { AWS_ACCESS_KEY_ID, AWS_REGION } = process.env;
    delete process.env.AWS_REGION;
    await expect(
      createAmi({
        image: join(aws.folder, 'image.raw'),
        name: 'abc',
        stateFile: join(aws.folder, 's'),
        endpoint: aws.url,
      }),
    ).rejects.toMatchObject({ code: 'ami.region-missing' });
    if (AWS_REGION !== undefined) process.env.AWS_REGION = AWS_REGION;
    delete process.env.AWS_ACCESS_KEY_ID;
    await expect(upload(aws)).rejects.toMatchObject({ code: 'ami.credentials' });
    process.env.AWS_ACCESS_KEY_ID = AWS_ACCESS_KEY_ID;
    await expect(upload(aws, { endpoint: 'http://127.0.0.1:1' })).rejects.toMatchObject({
      code: 'ami.unreachable',
    });
  });
});
