import { afterEach, describe, expect, it } from 'vitest';
import { deleteAmi } from './delete-ami.js';
import { type LocalAws, startLocalAws, TEST_REGION } from './test-support/local-aws.js';
import { ec2Error, image, upload, when } from './test-support/upload-fixture.js';

let aws: LocalAws;
afterEach(() => aws.close());

describe('deleteAmi', () => {
  const remove = (id: string, force = false) =>
    deleteAmi({ id, force, region: TEST_REGION, endpoint: aws.url });

  it('removes an AMI with its snapshot, in spite of faults', async () => {
    aws = await startLocalAws();
    image(aws);
    const { imageId, snapshotId } = await upload(aws);
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
    image(aws);
    const { imageId, snapshotId } = await upload(aws);
    aws.ec2.images.get(imageId)?.tags.splice(0);
    await expect(remove(imageId)).rejects.toMatchObject({ code: 'ami.not-ours' });
    expect(aws.ec2.images.size).toBe(1);
    expect(await remove(imageId, true)).toEqual({ imageId, snapshotIds: [snapshotId] });
  });

  it('leaves an AMI alone whose snapshot it did not make', async () => {
    aws = await startLocalAws();
    image(aws);
    const { imageId, snapshotId } = await upload(aws);
    aws.store.snapshots.get(snapshotId)?.tags.splice(0);
    await expect(remove(imageId)).rejects.toMatchObject({
      code: 'ami.not-ours',
      actual: snapshotId,
    });
    expect([aws.ec2.images.size, aws.store.snapshots.size]).toEqual([1, 1]);
    expect(await remove(imageId, true)).toEqual({ imageId, snapshotIds: [snapshotId] });
  });

  it('removes an AMI whose snapshot is gone already', async () => {
    aws = await startLocalAws();
    image(aws);
    const { imageId, snapshotId } = await upload(aws);
    aws.store.snapshots.delete(snapshotId);
    expect(await remove(imageId)).toEqual({ imageId, snapshotIds: [] });
  });

  it('goes on when an answer was lost, and names the snapshot that stays', async () => {
    aws = await startLocalAws(
      when(/Action=(DeregisterImage|DeleteSnapshot)/, (n) =>
        n === 0
          ? { reset: 'after' }
          : n === 2
            ? { answer: ec2Error(403, 'UnauthorizedOperation') }
            : undefined,
      ),
    );
    image(aws);
    const { imageId, snapshotId } = await upload(aws);
    await expect(remove(imageId)).rejects.toMatchObject({
      code: 'ami.access-denied',
      hint: expect.stringContaining(`tee-ami delete ${snapshotId} --region eu-west-1`),
    });
    expect(await remove(snapshotId)).toEqual({ imageId: undefined, snapshotIds: [snapshotId] });
  });
});
