import { createHash } from 'node:crypto';
import {
  EBSClient,
  GetSnapshotBlockCommand,
  paginateListSnapshotBlocks,
} from '@aws-sdk/client-ebs';

/**
 * Reads a snapshot back with the AWS SDK, as a volume of `bytes` bytes, and checks each checksum.
 * What the snapshot lacks is zeros, or noise as of an encrypted volume.
 */
export async function readSnapshot(
  { endpoint, region }: { readonly endpoint: string; readonly region: string },
  snapshotId: string,
  bytes: number,
  noise = 0,
): Promise<Uint8Array> {
  const client = new EBSClient({ endpoint, region });
  const volume = new Uint8Array(bytes).fill(noise);
  try {
    for await (const { Blocks = [], BlockSize = 0 } of paginateListSnapshotBlocks(
      { client },
      { SnapshotId: snapshotId, MaxResults: 100 },
    ))
      for (const { BlockIndex = 0, BlockToken } of Blocks) {
        const { BlockData, Checksum } = await client.send(
          new GetSnapshotBlockCommand({ SnapshotId: snapshotId, BlockIndex, BlockToken }),
        );
        const block = (await BlockData?.transformToByteArray()) ?? new Uint8Array(0);
        if (createHash('sha256').update(block).digest('base64') !== Checksum)
          throw new Error(`block ${BlockIndex} has another checksum`);
        const start = BlockIndex * BlockSize;
        const end = Math.min(bytes, start + BlockSize);
        if (block.subarray(end - start).some((byte) => byte !== 0))
          throw new Error('data behind the end of the image');
        volume.set(block.subarray(0, end - start), start);
      }
  } finally {
    client.destroy();
  }
  return volume;
}
