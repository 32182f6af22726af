import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { ChooseFault, LocalResponse } from '../emulator/local-server.js';
import { encodeUefiData } from '../image/signing/uefi-variable-store.js';
import { type CreateAmiOptions, type CreatedAmi, createAmi } from './create-ami.js';
import { deleteAmi } from './delete-ami.js';
import {
  countPuts,
  type LocalAws,
  sentAgain,
  startLocalAws,
  TEST_REGION,
} from './test-support/local-aws.js';
import { makeImage } from './test-support/make-image.js';
import { readSnapshot } from './test-support/read-snapshot.js';

const MIB = 2 ** 20;

let aws: LocalAws;
afterEach(() => aws.close());

function upload(options: Partial<CreateAmiOptions> = {}): Promise<CreatedAmi> {
  return createAmi({
    image: join(aws.folder, 'image.raw'),
    name: 'test image',
    stateFile: join(aws.folder, 'state'),
    region: TEST_REGION,
    endpoint: aws.url,
    pollMs: 5,
    ...options,
  });
}

function image(bytes = 8 * MIB, dataBlocks: Iterable<number> = [0, 3, 5, 9]): string {
  return makeImage(join(aws.folder, 'image.raw'), { bytes, dataBlocks });
}

async function expectIdentical(path: string, snapshotId: string): Promise<void> {
  const bytes = readFileSync(path);
  const at = { endpoint: aws.url, region: TEST_REGION };
  const volume = await readSnapshot(at, snapshotId, bytes.length);
  expect(Buffer.compare(volume, bytes)).toBe(0);
}

/** Faults for requests whose method and path match. */
const when =
  (pattern: RegExp, fault: (count: number) => ReturnType<ChooseFault>): ChooseFault =>
  (request) => {
    const body = new TextDecoder().decode(request.body.subarray(0, 100));
    return pattern.test(`${request.method} ${request.path} ${body}`) ? fault(count++) : undefined;
  };
let count = 0;

const ebsError = (status: number, type: string, more: object = {}): LocalResponse => ({
  status,
  headers: { 'x-amzn-errortype': type },
  body: JSON.stringify({ Message: 'told to', ...more }),
});
const ec2Error = (status: number, code: string): LocalResponse => ({
  status,
  body: `<Response><Errors><Error><Code>${code}</Code><Message>told to</Message></Error></Errors></Response>`,
});

describe('createAmi', () => {
  it('uploads what is not zeros, reads back bit-identical, and cleans up its state file', async () => {
    aws = await startLocalAws();
    // Not a multiple of the block size, and most of it holes: read past the page cache.
    const path = image(40 * MIB + 777, [0, 1, 17, 79, 80]);
    const made = await upload();
    expect(made).toMatchObject({ blocks: 5, sentBlocks: 5, region: TEST_REGION, retries: 0 });
    await expectIdentical(path, made.snapshotId);
    expect(countPuts(aws.server.requests)).toBe(5);
    expect(existsSync(join(aws.folder, 'state'))).toBe(false);
    expect(aws.store.snapshots.get(made.snapshotId)?.volumeSizeGib).toBe(1);
  });

  it('leaves out blocks of zeros that are no holes, and keeps odd last blocks', async () => {
    aws = await startLocalAws();
    const path = image(3 * MIB + 1, [0, 6]);
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(2 * MIB), 0, 2 * MIB, MIB);
    closeSync(file);
    const made = await upload();
    expect(made.blocks).toBe(2);
    await expectIdentical(path, made.snapshotId);
  });

  it('puts zeros behind the end of the image, also into memory that held other blocks', async () => {
    aws = await startLocalAws();
    const path = image(
      15 * MIB + 5,
      Array.from({ length: 31 }, (_, i) => i),
    );
    const made = await upload({ concurrency: 1 });
    await expectIdentical(path, made.snapshotId);
  });

  it('registers with UEFI, NitroTPM, ENA, IMDSv2, UEFI variables and tags', async () => {
    aws = await startLocalAws();
    image();
    const manifest = join(aws.folder, 'manifest.json');
    writeFileSync(manifest, manifestText());
    const manifestSha256 = createHash('sha256').update(manifestText()).digest('hex');
    const uefiData = encodeUefiData([
      {
        name: 'PK',
        guid: '8be4df61-93ca-11d2-aa0d-00e098032b8c',
        attributes: 0x27,
        data: new Uint8Array(9),
      },
    ]);
    const made = await upload({
      manifest,
      uefiData: `${uefiData}\n`,
      architecture: 'arm64',
      tags: [{ key: 'team', value: 'pay & <go>' }],
    });
    expect(made.manifestSha256).toBe(manifestSha256);
    const tags = [
      { Key: 'Name', Value: 'test image' },
      { Key: 'tee-verify:created-by', Value: 'tee-ami' },
      { Key: 'tee-verify:manifest-sha256', Value: manifestSha256 },
      { Key: 'team', Value: 'pay & <go>' },
    ];
    const registered = aws.ec2.images.get(made.imageId);
    expect(registered?.tags).toEqual(tags);
    expect(registered?.parameters).toMatchObject({
      Name: 'test image',
      Architecture: 'arm64',
      BootMode: 'uefi',
      TpmSupport: 'v2.0',
      ImdsSupport: 'v2.0',
      EnaSupport: 'true',
      VirtualizationType: 'hvm',
      RootDeviceName: '/dev/xvda',
      UefiData: uefiData,
      BlockDeviceMapping: {
        1: {
          DeviceName: '/dev/xvda',
          Ebs: {
            SnapshotId: made.snapshotId,
            VolumeType: 'gp3',
            DeleteOnTermination: 'true',
          },
        },
      },
    });
    expect(aws.store.snapshots.get(made.snapshotId)?.tags).toEqual(tags);
  });

  it('compares the image with the digest of the manifest before anything is uploaded', async () => {
    aws = await startLocalAws();
    const path = image(33 * MIB + 5, [0, 66]);
    const manifest = join(aws.folder, 'manifest.json');
    for (const algorithm of ['sha256', 'sha384', 'sha512']) {
      const digest = createHash(algorithm).update(readFileSync(path)).digest('hex');
      writeFileSync(manifest, manifestText(`${algorithm}:${digest}`));
      await upload({ manifest, name: `with ${algorithm}` });
    }
    const before = aws.server.requests.length;
    for (const wrong of [`sha256:${'0'.repeat(64)}`, `sha384:${'0'.repeat(64)}`, 'latest']) {
      writeFileSync(manifest, manifestText(wrong));
      await expect(upload({ manifest })).rejects.toMatchObject({ code: 'ami.manifest-mismatch' });
    }
    expect(aws.server.requests.length).toBe(before);
  });

  it('survives throttling, resets, wrong acknowledgements and slow answers', async () => {
    aws = await startLocalAws({
      ...{ seed: 7, throttle: 0.2, reset: 0.05, corrupt: 0.02, slow: 0.05, slowMs: 30 },
    });
    const path = image(
      150 * MIB,
      Array.from({ length: 250 }, (_, i) => i),
    );
    const made = await upload();
    expect(made).toMatchObject({ blocks: 250, sentBlocks: 250 });
    expect(made.retries).toBeGreaterThan(30);
    // The faults that were promised did happen.
    const { requests } = aws.server;
    expect(requests.filter(({ status }) => status === undefined).length).toBeGreaterThan(3);
    expect(
      requests.filter(({ status, changed }) => status === 201 && changed).length,
    ).toBeGreaterThan(1);
    expect(requests.filter(({ status }) => status === 400).length).toBeGreaterThan(20);
    expect(sentAgain(requests)).toEqual([]);
    const { store } = aws;
    expect(Buffer.compare(store.contents(made.snapshotId, 150 * MIB), readFileSync(path))).toBe(0);
  });

  it('sends a block again whose acknowledgement is of other data', async () => {
    count = 0;
    aws = await startLocalAws(
      when(/^PUT /, (n) =>
        n === 1
          ? {
              change: (response) => ({
                ...response,
                headers: { ...response.headers, 'x-amz-checksum': `${'A'.repeat(43)}=` },
              }),
            }
          : undefined,
      ),
    );
    image();
    expect(await upload()).toMatchObject({ sentBlocks: 4, retries: 1 });
    expect(countPuts(aws.server.requests)).toBe(5);
  });

  it('stops when told, and goes on without sending again what was acknowledged', async () => {
    aws = await startLocalAws();
    const path = image(
      32 * MIB,
      Array.from({ length: 64 }, (_, i) => i),
    );
    const stop = new AbortController();
    const interrupted = upload({
      concurrency: 4,
      signal: stop.signal,
      onProgress: ({ sentBlocks }) => sentBlocks === 20 && stop.abort(),
    });
    await expect(interrupted).rejects.toMatchObject({ code: 'ami.interrupted' });
    const { hint } = (await interrupted.catch((error: unknown) => error)) as { hint: string };
    expect(hint).toMatch(
      /snap-[0-9a-f]+ \(pending\) stays in eu-west-1: .*--resume .*tee-ami delete snap-/,
    );
    const known = new Set(
      [...readFileSync(join(aws.folder, 'state'), 'utf8').matchAll(/^b (\d+) /gm)].map(
        ([, index]) => `${index}`,
      ),
    );
    expect(known.size).toBeGreaterThanOrEqual(20);
    const before = aws.server.requests.length;
    const made = await upload({ resume: true });
    expect(made).toMatchObject({ blocks: 64, sentBlocks: 64 - known.size });
    const second = aws.server.requests.slice(before).filter(({ method }) => method === 'PUT');
    expect(second.filter(({ path: put }) => known.has(put.split('/').at(-1) ?? ''))).toEqual([]);
    await expectIdentical(path, made.snapshotId);
    expect(aws.store.snapshots.size).toBe(1);
  });

  it('starts from the beginning when there is nothing to resume', async () => {
    aws = await startLocalAws();
    image();
    expect(await upload({ resume: true })).toMatchObject({ sentBlocks: 4 });
  });

  it('finds the snapshot again whose start got no answer', async () => {
    aws = await startLocalAws(
      when(/^POST \/snapshots /, (n) => (n === 0 ? { reset: 'after' } : undefined)),
    );
    count = 0;
    image();
    await upload();
    expect(aws.store.snapshots.size).toBe(1);
  });

  it.each(['CompleteSnapshot', 'RegisterImage'])(
    'notices that %s was carried out although the answer was lost',
    async (call) => {
      count = 0;
      const pattern = call === 'RegisterImage' ? /Action=RegisterImage/ : /completion/;
      aws = await startLocalAws(when(pattern, (n) => (n === 0 ? { reset: 'after' } : undefined)));
      image();
      const made = await upload();
      expect([...aws.ec2.images.keys()]).toEqual([made.imageId]);
    },
  );

  it('resumes after completion: only the registration is left', async () => {
    count = 0;
    aws = await startLocalAws(
      when(/Action=RegisterImage/, (n) =>
        n === 0 ? { answer: ec2Error(400, 'UnauthorizedOperation') } : undefined,
      ),
    );
    image();
    await expect(upload()).rejects.toMatchObject({
      code: 'ami.access-denied',
      hint: expect.stringMatching(/snap-[0-9a-f]+ \(completed\) stays/),
    });
    const puts = countPuts(aws.server.requests);
    expect(await upload({ resume: true })).toMatchObject({ sentBlocks: 0, blocks: 4 });
    expect(countPuts(aws.server.requests)).toBe(puts);
  });

  it('gives back what it made when only the wait for the AMI was interrupted', async () => {
    count = 0;
    aws = await startLocalAws(
      when(/Action=DescribeImages.*ImageId/, (n) =>
        n === 0 ? { answer: ec2Error(403, 'UnauthorizedOperation') } : undefined,
      ),
    );
    image();
    await expect(upload()).rejects.toMatchObject({ code: 'ami.access-denied' });
    const made = await upload({ resume: true });
    expect([...aws.ec2.images.keys()]).toEqual([made.imageId]);
  });
});

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
      16 * MIB,
      Array.from({ length: 32 }, (_unused, i) => i),
    );
    const stop = new AbortController();
    const interrupted = upload({
      concurrency: 2,
      signal: stop.signal,
      onProgress: ({ sentBlocks }) => sentBlocks === 8 && stop.abort(),
    });
    await expect(interrupted).rejects.toMatchObject({ code: 'ami.interrupted' });
    change(path);
    await expect(upload({ resume: true })).rejects.toMatchObject({
      code: 'ami.image-changed',
      hint: expect.stringMatching(/tee-ami delete snap-/),
    });
    expect(aws.ec2.images.size).toBe(0);
  });

  it('an image that is written during the upload', async () => {
    aws = await startLocalAws();
    const path = image();
    const changing = upload({
      onProgress: ({ sentBlocks }) => sentBlocks === 2 && utimesSync(path, 1, 1),
    });
    await expect(changing).rejects.toMatchObject({ code: 'ami.image-changed' });
    expect([...aws.store.snapshots.values()].map(({ sealedWith }) => sealedWith)).toEqual([
      undefined,
    ]);
  });

  it('to forget an unfinished upload, or to mix it with another place', async () => {
    count = 0;
    aws = await startLocalAws(
      when(/completion/, (n) =>
        n === 0 ? { answer: ebsError(403, 'AccessDeniedException') } : undefined,
      ),
    );
    image();
    await expect(upload()).rejects.toMatchObject({ code: 'ami.access-denied' });
    await expect(upload()).rejects.toMatchObject({
      code: 'ami.unfinished-upload',
      hint: expect.stringMatching(/--resume.*tee-ami delete snap-[0-9a-f]+ --region eu-west-1/),
    });
    await expect(upload({ resume: true, region: 'us-east-1' })).rejects.toMatchObject({
      code: 'ami.state-unusable',
    });
    await upload({ resume: true });
  });

  it('a snapshot that is gone, and says that nothing is left', async () => {
    count = 0;
    aws = await startLocalAws(
      when(/completion/, (n) =>
        n === 0 ? { answer: ebsError(403, 'AccessDeniedException') } : undefined,
      ),
    );
    const path = image();
    await expect(upload()).rejects.toMatchObject({ code: 'ami.access-denied' });
    const [snapshotId = ''] = aws.store.snapshots.keys();
    await deleteAmi({ id: snapshotId, region: TEST_REGION, endpoint: aws.url });
    // One block more than was acknowledged.
    const { atime, mtime } = statSync(path);
    overwrite(path, 4 * 524_288, Buffer.alloc(524_288, 1));
    utimesSync(path, atime, mtime);
    await expect(upload({ resume: true })).rejects.toMatchObject({
      code: 'ami.snapshot-gone',
      hint: expect.stringMatching(/Nothing is left in the account/),
    });
  });

  it('a name that is taken, before anything is uploaded', async () => {
    aws = await startLocalAws();
    image();
    const { imageId } = await upload();
    const puts = countPuts(aws.server.requests);
    await expect(upload()).rejects.toMatchObject({
      code: 'ami.name-taken',
      actual: expect.stringContaining(imageId),
      hint: expect.stringMatching(/Nothing was made/),
    });
    expect(countPuts(aws.server.requests)).toBe(puts);
    expect(existsSync(join(aws.folder, 'state'))).toBe(false);
  });

  it('what is no disk image', async () => {
    aws = await startLocalAws();
    const path = join(aws.folder, 'image.raw');
    for (const bytes of [Buffer.alloc(0), Buffer.from('QFI\xfb'), Buffer.alloc(MIB)]) {
      writeFileSync(path, bytes);
      await expect(upload()).rejects.toMatchObject({ code: 'ami.image-invalid' });
    }
    await expect(upload({ image: aws.folder })).rejects.toMatchObject({ code: 'file.unreadable' });
    await expect(upload({ image: `${path}x` })).rejects.toMatchObject({ code: 'file.unreadable' });
    await expect(upload({ uefiData: 'AAAA' })).rejects.toMatchObject({
      code: 'uefi-data.malformed',
    });
    image();
    const stateFile = join(aws.folder, 'none/state');
    await expect(upload({ stateFile })).rejects.toMatchObject({ code: 'file.unwritable' });
    writeFileSync(join(aws.folder, 'state'), 'something else\n');
    await expect(upload({ resume: true })).rejects.toMatchObject({ code: 'ami.state-unusable' });
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
    image();
    await expect(upload()).rejects.toMatchObject({ code });
    expect(aws.ec2.images.size).toBe(0);
  });

  it('a snapshot that fails, and one that takes too long', async () => {
    aws = await startLocalAws(undefined, { pendingDescriptions: 1e9 });
    image();
    await expect(upload({ timeoutMs: 100 })).rejects.toMatchObject({ code: 'ami.wait-timeout' });
    for (const snapshot of aws.store.snapshots.values()) snapshot.status = 'error';
    await expect(upload({ resume: true })).rejects.toMatchObject({ code: 'ami.snapshot-failed' });
  });

  it('no region, no credentials, nobody there', async () => {
    aws = await startLocalAws();
    image();
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
    await expect(upload()).rejects.toMatchObject({ code: 'ami.credentials' });
    process.env.AWS_ACCESS_KEY_ID = AWS_ACCESS_KEY_ID;
    await expect(upload({ endpoint: 'http://127.0.0.1:1' })).rejects.toMatchObject({
      code: 'ami.unreachable',
    });
  });
});

describe('deleteAmi', () => {
  const remove = (id: string, force = false) =>
    deleteAmi({ id, force, region: TEST_REGION, endpoint: aws.url });

  it('removes an AMI with its snapshot, in spite of faults', async () => {
    aws = await startLocalAws();
    image();
    const { imageId, snapshotId } = await upload();
    await expect(remove(snapshotId)).rejects.toMatchObject({ code: 'ami.snapshot-in-use' });
    expect(await remove(imageId)).toEqual({ imageId, snapshotIds: [snapshotId] });
    expect([aws.ec2.images.size, aws.store.snapshots.size]).toEqual([0, 0]);
    await expect(remove(imageId)).rejects.toMatchObject({ code: 'ami.not-found' });
    await expect(remove(snapshotId)).rejects.toMatchObject({ code: 'ami.not-found' });
    await expect(remove('i-0123456789abcdef0')).rejects.toMatchObject({
      code: 'usage.option-invalid',
    });
  });

  it('refuses what it did not make, unless told', async () => {
    aws = await startLocalAws();
    image();
    const { imageId, snapshotId } = await upload();
    aws.ec2.images.get(imageId)?.tags.splice(0);
    await expect(remove(imageId)).rejects.toMatchObject({ code: 'ami.not-ours' });
    expect(aws.ec2.images.size).toBe(1);
    expect(await remove(imageId, true)).toEqual({ imageId, snapshotIds: [snapshotId] });
  });

  it('goes on when an answer was lost, and names the snapshot that stays', async () => {
    count = 0;
    aws = await startLocalAws(
      when(/Action=(DeregisterImage|DeleteSnapshot)/, (n) =>
        n === 0
          ? { reset: 'after' }
          : n === 2
            ? { answer: ec2Error(403, 'UnauthorizedOperation') }
            : undefined,
      ),
    );
    image();
    const { imageId, snapshotId } = await upload();
    await expect(remove(imageId)).rejects.toMatchObject({
      code: 'ami.access-denied',
      hint: expect.stringContaining(`tee-ami delete ${snapshotId}`),
    });
    expect(await remove(snapshotId)).toEqual({ imageId: undefined, snapshotIds: [snapshotId] });
  });
});

function overwrite(path: string, position: number, bytes: Uint8Array): void {
  const { atime, mtime } = statSync(path);
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, position);
  closeSync(file);
  utimesSync(path, atime, mtime);
}

function manifestText(imageDigest?: string): string {
  return JSON.stringify({
    version: 1,
    platform: 'nitrotpm',
    hashAlgorithm: 'SHA384',
    measurementSets: [{ label: 'a', pcrs: { 4: 'ab'.repeat(48), 12: '00'.repeat(48) } }],
    ...(imageDigest !== undefined && { provenance: { imageDigest } }),
  });
}
