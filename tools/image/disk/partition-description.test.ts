import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { thrownBy } from '../../../src/test-support/rejection.js';
import { ToolError } from '../../common/tool-error.js';
import { describePartitions, layoutImage } from '../build/image-layout.js';
import { formatPartitionDescription, parsePartitionDescription } from './partition-description.js';

const MIB = 1024 * 1024;
const identity = {
  image: 'payments_7.raw',
  architecture: 'x86_64',
  mount: 'root',
  rootHash: '0123456789abcdef0123456789abcdef'.concat('f0'.repeat(16)),
  dataBytes: 3 * MIB + 4096,
  espVolumeId: '0123abcd',
} as const;
const good = describePartitions(identity, layoutImage(64 * MIB, identity.dataBytes));

describe('partitions.json', () => {
  it('reads what is written', () => {
    expect(parsePartitionDescription(formatPartitionDescription(good))).toEqual(good);
    expect(good.partitions[1].uuid).toBe('01234567-89ab-cdef-0123-456789abcdef');
    expect(good.partitions[2].offsetBytes).toBe(69 * MIB);
  });

  it('derives every UUID from the root hash', () => {
    const other = describePartitions(
      { ...identity, rootHash: 'f'.repeat(64) },
      layoutImage(64 * MIB, MIB),
    );
    for (const i of [0, 1, 2] as const)
      expect(other.partitions[i].uuid).not.toBe(good.partitions[i].uuid);
    expect(other.diskUuid).not.toBe(good.diskUuid);
  });

  type Json = Record<string, unknown> & { partitions: Record<string, unknown>[] };
  const CHANGES: Record<string, (json: Json) => unknown> = {
    'no object': () => [],
    null: () => null,
    'another version': (json) => ({ ...json, version: 2 }),
    'an unknown field': (json) => ({ ...json, seed: 1 }),
    'a missing field': ({ diskUuid, ...json }) => json,
    'sectors of 4096 bytes': (json) => ({ ...json, sectorBytes: 4096 }),
    'an unknown architecture': (json) => ({ ...json, architecture: 'riscv64' }),
    'the name of a method': (json) => ({ ...json, architecture: 'toString' }),
    'a path as the image': (json) => ({ ...json, image: '../x.raw' }),
    'a size of text': (json) => ({ ...json, sizeBytes: '5' }),
    'a size that is no number of sectors': (json) => ({ ...json, sizeBytes: 1000 }),
    'a size of 2^60': (json) => ({ ...json, sizeBytes: 2 ** 60 }),
    'a size too small for the partitions': (json) => ({ ...json, sizeBytes: 64 * MIB }),
    'a root hash in capitals': (json) => ({ ...json, rootHash: 'A'.repeat(64) }),
    'a short root hash': (json) => ({ ...json, rootHash: 'a'.repeat(62) }),
    'a volume id with more digits': (json) => ({ ...json, espVolumeId: '123456789' }),
    'no GUID': (json) => ({ ...json, diskUuid: 'x' }),
    'two partitions': (json) => ({ ...json, partitions: json.partitions.slice(0, 2) }),
    'a partition of text': (json) => ({ ...json, partitions: ['a', 'b', 'c'] }),
    'another order': (json) => ({ ...json, partitions: json.partitions.toReversed() }),
    'two partitions with one UUID': (json) => {
      (json.partitions[1] as Record<string, unknown>).uuid = json.partitions[0]?.uuid;
      return json;
    },
    'partitions that overlap': (json) => {
      (json.partitions[1] as Record<string, unknown>).offsetBytes = MIB;
      return json;
    },
    'other labels': (json) => {
      (json.partitions[1] as Record<string, unknown>).label = 'home';
      return json;
    },
    'more data than the partition has': (json) => {
      (json.partitions[1] as Record<string, unknown>).dataBytes = 2 ** 40;
      return json;
    },
    'data of the wrong partition': (json) => {
      (json.partitions[0] as Record<string, unknown>).dataBytes = 512;
      return json;
    },
  };

  it.each(Object.keys(CHANGES))('refuses %s', (name) => {
    const changed = CHANGES[name]?.(structuredClone(good) as unknown as Json);
    const error = thrownBy(() => parsePartitionDescription(JSON.stringify(changed)));
    expect(error).toBeInstanceOf(ToolError);
    expect(error).toMatchObject({ code: 'partitions.malformed' });
  });

  it('refuses other text with its code', () => {
    const text = formatPartitionDescription(good);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.nat(text.length - 3)), (input) => {
        const bad = typeof input === 'number' ? text.slice(0, input) : input;
        expect(thrownBy(() => parsePartitionDescription(bad))).toMatchObject({
          code: 'partitions.malformed',
        });
      }),
    );
    expect(thrownBy(() => parsePartitionDescription(' '.repeat(70_000)))).toMatchObject({
      code: 'partitions.malformed',
    });
  });
});
