import { ARCHITECTURES, ESP_TYPE, type ImageArchitecture } from '../disk/architecture.js';
import { type GptTable, READ_ONLY } from '../disk/gpt.js';
import { derivedUuid, partitionUuids } from '../disk/guid.js';
import type { PartitionDescription } from '../disk/partition-description.js';
import { VERITY_BLOCK_BYTES, verityBytes } from '../disk/verity.js';

/** Where the partitions of an image lie. Offsets and sizes in bytes. */
export interface ImageLayout {
  readonly esp: Span;
  readonly data: Span;
  readonly hashes: Span;
  /** Of the whole image. */
  readonly sizeBytes: number;
}

interface Span {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** Partitions begin and end at multiples of this. */
const ALIGNMENT = 1024 * 1024;

/** Places the partitions one behind the other. */
export function layoutImage(espBytes: number, dataBytes: number): ImageLayout {
  const sizes = [espBytes, dataBytes, verityBytes(dataBytes / VERITY_BLOCK_BYTES)];
  let end = ALIGNMENT;
  const spans = sizes.map((size): Span => {
    const sizeBytes = Math.ceil(size / ALIGNMENT) * ALIGNMENT;
    const span = { offsetBytes: end, sizeBytes };
    end += sizeBytes;
    return span;
  });
  const [esp, data, hashes] = spans as [Span, Span, Span];
  return { esp, data, hashes, sizeBytes: end + ALIGNMENT };
}

/** What an image is called and made for. */
export interface ImageIdentity {
  /** File name of the raw image. */
  readonly image: string;
  readonly architecture: ImageArchitecture;
  /** Where the data partition is mounted. */
  readonly mount: 'root' | 'usr';
  readonly rootHash: string;
  readonly dataBytes: number;
  /** 8 hex digits. */
  readonly espVolumeId: string;
}

/** The partition description: every UUID follows from the root hash. */
export function describePartitions(
  { image, architecture, mount, rootHash, dataBytes, espVolumeId }: ImageIdentity,
  { esp, data, hashes, sizeBytes }: ImageLayout,
): PartitionDescription {
  const { types } = ARCHITECTURES[architecture];
  const [dataUuid, hashesUuid] = partitionUuids(rootHash);
  const espUuid = derivedUuid('esp', rootHash);
  return {
    version: 1,
    image,
    architecture,
    sectorBytes: 512,
    sizeBytes,
    diskUuid: derivedUuid('disk', rootHash),
    rootHash,
    espVolumeId,
    partitions: [
      { number: 1, label: 'esp', type: ESP_TYPE, uuid: espUuid, ...esp },
      { number: 2, label: mount, type: types[mount], uuid: dataUuid, ...data, dataBytes },
      {
        ...{ number: 3, label: `${mount}-verity`, type: types[`${mount}-verity`] },
        ...{ uuid: hashesUuid, ...hashes },
      },
    ],
  };
}

/** The partition table of a description. */
export function gptTableOf({ diskUuid, sizeBytes, partitions }: PartitionDescription): GptTable {
  const entries = partitions.map((partition) => ({
    ...partition,
    attributes: partition.number === 1 ? 0n : READ_ONLY,
  }));
  return { diskUuid, sizeBytes, partitions: entries };
}
