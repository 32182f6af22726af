import type { ByteSource } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { ARCHITECTURES, ESP_TYPE, type ImageArchitecture } from './architecture.js';
import { type GptPartition, type GptTable, READ_ONLY } from './gpt.js';
import { windowOf } from './read-at.js';
import { readGpt } from './read-gpt.js';

/** The parts of a raw image. */
export interface RawImage {
  readonly table: GptTable;
  readonly architecture: ImageArchitecture;
  /** What the data partition is by its type. */
  readonly mount: 'root' | 'usr';
  readonly esp: ImagePartition;
  readonly data: ImagePartition;
  readonly hashes: ImagePartition;
}

/** A partition with its bytes. */
export interface ImagePartition extends GptPartition {
  readonly source: ByteSource;
}

/**
 * Finds the parts of a raw image by the types of its partitions, and refuses any other: an EFI system
 * partition, a data partition and its hash partition, both for one architecture. Throws
 * `gpt.malformed`, `gpt.partitions`.
 */
export async function readRawImage(source: ByteSource): Promise<RawImage> {
  const table = await readGpt(source);
  const { partitions } = table;
  for (const [name, { types }] of Object.entries(ARCHITECTURES)) {
    for (const mount of ['root', 'usr'] as const) {
      const wanted = [ESP_TYPE, types[mount], types[`${mount}-verity`]];
      const found = wanted.map((type) => partitions.filter((one) => one.type === type));
      if (partitions.length !== 3 || !found.every((list) => list.length === 1)) continue;
      checkAttributes(partitions);
      const [esp, data, hashes] = found.map(([one]) => withSource(source, one as GptPartition));
      return {
        ...{ table, architecture: name as ImageArchitecture, mount },
        ...{ esp, data, hashes },
      } as RawImage;
    }
  }
  throw new ToolError('gpt.partitions', {
    expected: 'an EFI system partition, a root or usr partition, and its verity partition',
    actual: partitions.map(({ type, label }) => `${label} (${type})`).join(', ') || 'none',
  });
}

/** Read-only is harmless; other bits change what firmware or systemd do with a partition. */
function checkAttributes(partitions: readonly GptPartition[]): void {
  const odd = partitions.find(({ attributes }) => (attributes & ~READ_ONLY) !== 0n);
  if (odd !== undefined)
    throw new ToolError('gpt.partitions', {
      expected: 'no attributes but read-only',
      actual: `0x${odd.attributes.toString(16)} of ${odd.label}`,
    });
}

function withSource(source: ByteSource, partition: GptPartition): ImagePartition {
  const { offsetBytes, sizeBytes } = partition;
  return { ...partition, source: windowOf(source, offsetBytes, sizeBytes) };
}
