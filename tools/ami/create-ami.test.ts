import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeUefiData } from '../image/signing/uefi-variable-store.js';
import {
  countPuts,
  type LocalAws,
  sentAgain,
  startLocalAws,
  TEST_REGION,
} from './test-support/local-aws.js';
import {
  compareSnapshot,
  ec2Error,
  image,
  MIB,
  upload,
  when,
} from './test-support/upload-fixture.js';

let aws: LocalAws;
afterEach(() => aws.close());

describe('createAmi', () => {
  it('uploads what is not zeros, reads back bit-identical, and cleans up its state file', async () => {
    aws = await startLocalAws();
    // Not a multiple of the block size, and most of it holes: read past the page cache.
    const path = image(aws, 40 * MIB + 777, [0, 1, 17, 79, 80]);
    const made = await upload(aws);
    expect(made).toMatchObject({ blocks: 5, sentBlocks: 5, region: TEST_REGION, retries: 0 });
    expect(await compareSnapshot(aws, path, made.snapshotId)).toBe(0);
    expect(countPuts(aws.server.requests)).toBe(5);
    expect(existsSync(join(aws.folder, 'state'))).toBe(false);
    expect(aws.store.snapshots.get(made.snapshotId)?.volumeSizeGib).toBe(1);
  });

  it('leaves out blocks of zeros that are no holes, and keeps odd last blocks', async () => {
    aws = await startLocalAws();
    const path = image(aws, 3 * MIB + 1, [0, 6]);
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(2 * MIB), 0, 2 * MIB, MIB);
    closeSync(file);
    const made = await upload(aws);
    expect(made.blocks).toBe(2);
    expect(await compareSnapshot(aws, path, made.snapshotId)).toBe(0);
  });

  it('puts zeros behind the end of the image, also into memory that held other blocks', async () => {
    aws = await startLocalAws();
    const path = image(
      aws,
      15 * MIB + 5,
      Array.from({ length: 31 }, (_, i) => i),
    );
    const made = await upload(aws, { concurrency: 1 });
    expect(await compareSnapshot(aws, path, made.snapshotId)).toBe(0);
  });

  it('registers with UEFI, NitroTPM, ENA, IMDSv2, UEFI variables and tags', async () => {
    aws = await startLocalAws();
    image(aws);
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
    const made = await upload(aws, {
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
    const path = image(aws, 33 * MIB + 5, [0, 66]);
    const manifest = join(aws.folder, 'manifest.json');
    for (const algorithm of ['sha256', 'sha384', 'sha512']) {
      const digest = createHash(algorithm).update(readFileSync(path)).digest('hex');
      writeFileSync(manifest, manifestText(`${algorithm}:${digest}`));
      await upload(aws, { manifest, name: `with ${algorithm}` });
    }
    const before = aws.server.requests.length;
    for (const wrong of [`sha256:${'0'.repeat(64)}`, `sha384:${'0'.repeat(64)}`, 'latest']) {
      writeFileSync(manifest, manifestText(wrong));
      await expect(upload(aws, { manifest })).rejects.toMatchObject({
        code: 'ami.manifest-mismatch',
      });
    }
    expect(aws.server.requests.length).toBe(before);
  });

  it('survives throttling, resets, wrong acknowledgements and slow answers', async () => {
    aws = await startLocalAws({
      ...{ seed: 7, throttle: 0.2, reset: 0.05, corrupt: 0.02, slow: 0.05, slowMs: 30 },
    });
    const path = image(
      aws,
      150 * MIB,
      Array.from({ length: 250 }, (_, i) => i),
    );
    const made = await upload(aws);
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
    image(aws);
    expect(await upload(aws)).toMatchObject({ sentBlocks: 4, retries: 1 });
    expect(countPuts(aws.server.requests)).toBe(5);
  });

  it('stops when told, and goes on without sending again what was acknowledged', async () => {
    aws = await startLocalAws();
    const path = image(
      aws,
      32 * MIB,
      Array.from({ length: 64 }, (_, i) => i),
    );
    const stop = new AbortController();
    const interrupted = upload(aws, {
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
    const made = await upload(aws, { resume: true });
    expect(made).toMatchObject({ blocks: 64, sentBlocks: 64 - known.size });
    const second = aws.server.requests.slice(before).filter(({ method }) => method === 'PUT');
    expect(second.filter(({ path: put }) => known.has(put.split('/').at(-1) ?? ''))).toEqual([]);
    expect(await compareSnapshot(aws, path, made.snapshotId)).toBe(0);
    expect(aws.store.snapshots.size).toBe(1);
  });

  it('starts from the beginning when there is nothing to resume', async () => {
    aws = await startLocalAws();
    image(aws);
    expect(await upload(aws, { resume: true })).toMatchObject({ sentBlocks: 4 });
  });

  it('finds the snapshot again whose start got no answer', async () => {
    aws = await startLocalAws(
      when(/^POST \/snapshots /, (n) => (n === 0 ? { reset: 'after' } : undefined)),
    );
    image(aws);
    await upload(aws);
    expect(aws.store.snapshots.size).toBe(1);
  });

  it.each(['CompleteSnapshot', 'RegisterImage'])(
    'notices that %s was carried out although the answer was lost',
    async (call) => {
      const pattern = call === 'RegisterImage' ? /Action=RegisterImage/ : /completion/;
      aws = await startLocalAws(when(pattern, (n) => (n === 0 ? { reset: 'after' } : undefined)));
      image(aws);
      const made = await upload(aws);
      expect([...aws.ec2.images.keys()]).toEqual([made.imageId]);
    },
  );

  it('resumes after completion: only the registration is left', async () => {
    aws = await startLocalAws(
      when(/Action=RegisterImage/, (n) =>
        n === 0 ? { answer: ec2Error(400, 'UnauthorizedOperation') } : undefined,
      ),
    );
    image(aws);
    await expect(upload(aws)).rejects.toMatchObject({
      code: 'ami.access-denied',
      hint: expect.stringMatching(/snap-[0-9a-f]+ \(completed\) stays/),
    });
    const puts = countPuts(aws.server.requests);
    expect(await upload(aws, { resume: true })).toMatchObject({ sentBlocks: 0, blocks: 4 });
    expect(countPuts(aws.server.requests)).toBe(puts);
  });

  it('gives back what it made when only the wait for the AMI was interrupted', async () => {
    aws = await startLocalAws(
      when(/Action=DescribeImages.*ImageId/, (n) =>
        n === 0 ? { answer: ec2Error(403, 'UnauthorizedOperation') } : undefined,
      ),
    );
    image(aws);
    await expect(upload(aws)).rejects.toMatchObject({ code: 'ami.access-denied' });
    const made = await upload(aws, { resume: true });
    expect([...aws.ec2.images.keys()]).toEqual([made.imageId]);
  });
});

function manifestText(imageDigest?: string): string {
  return JSON.stringify({
    version: 1,
    platform: 'nitrotpm',
    hashAlgorithm: 'SHA384',
    measurementSets: [{ label: 'a', pcrs: { 4: 'ab'.repeat(48), 12: '00'.repeat(48) } }],
    ...(imageDigest !== undefined && { provenance: { imageDigest } }),
  });
}
