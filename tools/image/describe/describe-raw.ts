import { findRootHash } from '../build/command-line-text.js';
import {
  type DescribedPartition,
  formatPartitionDescription,
  type PartitionDescription,
  parsePartitionDescription,
} from '../disk/partition-description.js';
import { readVeritySuperblock, VERITY_BLOCK_BYTES } from '../disk/verity.js';
import { type BootableImage, unsupported } from './open-raw.js';

/**
 * The partition description of a raw image, whoever made it: what a build by `tee-image build` writes
 * as `partitions.json`. Nothing is verified: whether the hashes are right, `tee-image verify` says.
 * Throws `raw-image.unsupported`, `verity.superblock`, `partitions.malformed`.
 */
export async function describeRaw(
  image: string,
  raw: BootableImage,
): Promise<PartitionDescription> {
  const { table, commandLine, mount } = raw;
  const root = findRootHash(commandLine);
  if (root === undefined || root.mount !== mount)
    throw unsupported(`one ${mount}hash= in the command line`, 'none, several or another');
  const { dataBlocks } = await readVeritySuperblock(raw.hashes.source);
  const partitions = [raw.esp, raw.data, raw.hashes].map(
    ({ label, type, uuid, offsetBytes, sizeBytes }, index): DescribedPartition => ({
      number: table.partitions.findIndex((one) => one.uuid === uuid) + 1,
      ...{ label, type, uuid, offsetBytes, sizeBytes },
      ...(index === 1 ? { dataBytes: dataBlocks * VERITY_BLOCK_BYTES } : {}),
    }),
  );
  const description: PartitionDescription = {
    version: 1,
    image,
    architecture: raw.architecture,
    sectorBytes: 512,
    sizeBytes: table.sizeBytes,
    diskUuid: table.diskUuid,
    rootHash: root.rootHash,
    espVolumeId: raw.espContents.volumeId,
    partitions: partitions as unknown as PartitionDescription['partitions'],
  };
  // Images of other makers may have what later steps could not read.
  return parsePartitionDescription(formatPartitionDescription(description));
}
