import { createHash } from 'node:crypto';
import {
  CompleteSnapshotCommand,
  EBSClient,
  GetSnapshotBlockCommand,
  ListSnapshotBlocksCommand,
  PutSnapshotBlockCommand,
  StartSnapshotCommand,
} from '@aws-sdk/client-ebs';
import {
  CreateTagsCommand,
  DescribeImagesCommand,
  DescribeSnapshotsCommand,
  EC2Client,
  RegisterImageCommand,
} from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEbsService } from './ebs-service.js';
import { BLOCK_BYTES, linearChecksum, SnapshotStore } from './ebs-snapshots.js';
import { createEc2Service } from './ec2-service.js';
import { startEmulator } from './emulator.js';
import { randomFaults } from './faults.js';
import type { LocalServer } from './local-server.js';

let server: LocalServer;
let store: SnapshotStore;
let ebs: EBSClient;
let ec2: EC2Client;

beforeEach(async () => {
  store = new SnapshotStore({ maxPending: 2, pendingDescriptions: 0 });
  server = await startEmulator({ services: [createEbsService(store), createEc2Service(store)] });
  const config = {
    endpoint: server.url,
    region: 'eu-west-1',
    maxAttempts: 1,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  };
  ebs = new EBSClient(config);
  ec2 = new EC2Client(config);
});
afterEach(async () => {
  ebs.destroy();
  ec2.destroy();
  await server.close();
});

const block = (fill: number): Uint8Array => new Uint8Array(BLOCK_BYTES).fill(fill);
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

async function begin(token = 'token'): Promise<string> {
  const { SnapshotId } = await ebs.send(
    new StartSnapshotCommand({ VolumeSize: 1, ClientToken: token }),
  );
  return SnapshotId ?? '';
}

function put(SnapshotId: string, BlockIndex: number, data: Uint8Array, more: object = {}) {
  return ebs.send(
    new PutSnapshotBlockCommand({
      ...{ SnapshotId, BlockIndex, BlockData: data, DataLength: BLOCK_BYTES },
      ...{ Checksum: sha256(data).toString('base64'), ChecksumAlgorithm: 'SHA256' },
      ...more,
    }),
  );
}

function complete(SnapshotId: string, ChangedBlocksCount: number, digests: Uint8Array[]) {
  return ebs.send(
    new CompleteSnapshotCommand({
      ...{ SnapshotId, ChangedBlocksCount, ChecksumAlgorithm: 'SHA256' },
      ChecksumAggregationMethod: 'LINEAR',
      Checksum: linearChecksum(new Map(digests.map((digest, i) => [i, digest]))),
    }),
  );
}

describe('EBS direct', () => {
  it('gives back what was written, page by page', async () => {
    const id = await begin();
    await put(id, 7, block(7));
    await put(id, 2, block(2));
    await put(id, 2047, block(3));
    await complete(id, 3, [sha256(block(2)), sha256(block(7)), sha256(block(3))]);
    const { Snapshots } = await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }));
    expect(Snapshots).toMatchObject([{ SnapshotId: id, State: 'completed', VolumeSize: 1 }]);
    const { Blocks = [], NextToken } = await ebs.send(
      new ListSnapshotBlocksCommand({ SnapshotId: id, StartingBlockIndex: 3 }),
    );
    expect(Blocks.map(({ BlockIndex }) => BlockIndex)).toEqual([7, 2047]);
    expect(NextToken).toBeUndefined();
    const { BlockData, Checksum } = await ebs.send(
      new GetSnapshotBlockCommand({
        ...{ SnapshotId: id, BlockIndex: 7, BlockToken: Blocks[0]?.BlockToken },
      }),
    );
    expect(Buffer.compare((await BlockData?.transformToByteArray()) ?? block(0), block(7))).toBe(0);
    expect(Checksum).toBe(sha256(block(7)).toString('base64'));
  });

  it('gives the same snapshot for the same token, and refuses others for it', async () => {
    const id = await begin();
    expect(await begin()).toBe(id);
    const other = new StartSnapshotCommand({ VolumeSize: 2, ClientToken: 'token' });
    await expect(ebs.send(other)).rejects.toMatchObject({ name: 'ConflictException' });
    await begin('two');
    await expect(begin('three')).rejects.toMatchObject({
      name: 'ConcurrentLimitExceededException',
    });
  });

  it.each<[string, number, Uint8Array, object]>([
    ['a block outside the volume', 2048, block(1), {}],
    ['a block that is too short', 0, block(1).subarray(1), {}],
    ['another length than the data', 0, block(1), { DataLength: 512 }],
    ['a checksum of other data', 0, block(1), { Checksum: sha256(block(2)).toString('base64') }],
  ])('refuses %s', async (_, index, data, more) => {
    const id = await begin();
    await expect(put(id, index, data, more)).rejects.toMatchObject({
      name: 'ValidationException',
    });
    expect(store.snapshots.get(id)?.digests.size).toBe(0);
  });

  it('refuses wrong counts and checksums at the end, and blocks after it', async () => {
    const id = await begin();
    await put(id, 0, block(1));
    const digest = sha256(block(1));
    const refused = { name: 'ValidationException' };
    await expect(complete(id, 2, [digest])).rejects.toMatchObject(refused);
    await expect(complete(id, 1, [sha256(block(2))])).rejects.toMatchObject(refused);
    await complete(id, 1, [digest]);
    await complete(id, 1, [digest]);
    await expect(complete(id, 1, [])).rejects.toMatchObject(refused);
    await expect(put(id, 1, block(1))).rejects.toMatchObject(refused);
    await expect(put('snap-00000000', 1, block(1))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
  });

  it('refuses what is not signed', async () => {
    const answer = await fetch(`${server.url}/snapshots`, { method: 'POST', body: '{}' });
    expect(answer.status).toBe(403);
    expect((await fetch(`${server.url}/other`)).status).toBe(404);
  });
});

describe('EC2', () => {
  const register = (more: object) =>
    ec2.send(
      new RegisterImageCommand({
        ...{ Name: 'abc', Architecture: 'x86_64', BootMode: 'uefi', TpmSupport: 'v2.0' },
        ...{ RootDeviceName: '/dev/xvda' },
        ...more,
      }),
    );

  it('registers only completed snapshots, describes and tags', async () => {
    const id = await begin();
    await put(id, 0, block(1));
    const mapping = {
      BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId: id } }],
    };
    await expect(register(mapping)).rejects.toMatchObject({ name: 'InvalidSnapshot.NotFound' });
    await complete(id, 1, [sha256(block(1))]);
    await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }));
    for (const [code, more] of [
      ['InvalidParameterCombination', { ...mapping, BootMode: 'legacy-bios' }],
      ['InvalidBlockDeviceMapping', { ...mapping, RootDeviceName: '/dev/sda1' }],
      ['InvalidAMIName.Malformed', { ...mapping, Name: 'a*' }],
      ['InvalidParameterValue', { ...mapping, UefiData: 'not base64' }],
    ] as const)
      await expect(register(more)).rejects.toMatchObject({ name: code });
    const { ImageId = '' } = await register(mapping);
    await expect(register(mapping)).rejects.toMatchObject({ name: 'InvalidAMIName.Duplicate' });
    const tag = { Key: 'k', Value: 'a & b <c>' };
    await ec2.send(new CreateTagsCommand({ Resources: [ImageId, id], Tags: [tag] }));
    const { Images } = await ec2.send(new DescribeImagesCommand({ ImageIds: [ImageId] }));
    expect(Images).toMatchObject([
      { ImageId, State: 'available', TpmSupport: 'v2.0', BootMode: 'uefi', Tags: [tag] },
    ]);
  });
});

describe('random faults', () => {
  it('come at their rates, and are the same for the same seed', () => {
    const request = {
      method: 'PUT',
      path: '/',
      query: new URLSearchParams(),
      headers: {},
      body: block(0).subarray(0, 1),
    };
    const draw = (seed: number): string[] => {
      const choose = randomFaults({ seed, throttle: 0.2, reset: 0.05, corrupt: 0.01 }, () => ({
        status: 400,
      }));
      return Array.from({ length: 10_000 }, () => Object.keys(choose(request) ?? {}).join());
    };
    const drawn = draw(5);
    expect(draw(5)).toEqual(drawn);
    expect(draw(6)).not.toEqual(drawn);
    const share = (kind: string): number => drawn.filter((one) => one === kind).length / 10_000;
    expect(share('answer')).toBeCloseTo(0.2, 1);
    expect(Math.abs(share('reset') - 0.05)).toBeLessThan(0.01);
    expect(Math.abs(share('change') - 0.01)).toBeLessThan(0.005);
  });
});
