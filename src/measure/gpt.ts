import { ByteReader } from '../bytes/byte-reader.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { formatGuid } from './guid.js';
import { decodeUtf16, printable } from './text.js';

const CODES = {
  truncated: MEASUREMENT_CODES['eventlog.truncated'],
  trailing: MEASUREMENT_CODES['eventlog.truncated'],
} as const;
const MAX_PARTITIONS = 1024n;

/** One partition of a measured GPT. */
export interface GptPartition {
  /** GUID of the partition's type, as text. */
  readonly typeGuid: string;
  /** The partition's own GUID, as text. */
  readonly guid: string;
  /** First and last block (inclusive). */
  readonly firstBlock: bigint;
  readonly lastBlock: bigint;
  readonly name: string;
}

/** A measured partition table. */
export interface MeasuredGpt {
  /** GUID of the disk, as text. */
  readonly diskGuid: string;
  readonly partitions: readonly GptPartition[];
}

/**
 * Reads UEFI_GPT_DATA (TCG PC Client Platform Firmware Profile 1.06, 10.2.5): the GPT header, the
 * number of partitions, and their entries. Throws `eventlog.truncated` for anything else.
 */
export function parseGptEvent(bytes: Uint8Array): MeasuredGpt {
  const reader: ByteReader = new ByteReader(bytes, 'UEFI_GPT_DATA', CODES, 'little');
  const header: ByteReader = new ByteReader(reader.take(92, 'header'), 'GPT', CODES, 'little');
  const signature = String.fromCharCode(...header.take(8, 'signature'));
  if (signature !== 'EFI PART')
    header.fail(CODES.truncated, 'signature', 'EFI PART', JSON.stringify(printable(signature)));
  header.take(48, 'revision to LastUsableLBA');
  const diskGuid = formatGuid(header.take(16, 'DiskGUID'));
  header.take(12, 'PartitionEntryLBA and NumberOfPartitionEntries');
  const entryBytes = header.u32('SizeOfPartitionEntry');
  const count = reader.u64('NumberOfPartitions');
  if (count > MAX_PARTITIONS || entryBytes < 128 || entryBytes > 4096)
    reader.fail(
      CODES.truncated,
      'partitions',
      `at most ${MAX_PARTITIONS} of 128 to 4096 bytes`,
      `${count} of ${entryBytes}`,
    );
  const partitions: GptPartition[] = [];
  for (let i = 0n; i < count; i++) {
    const entry = new ByteReader(reader.take(entryBytes, 'entry'), 'GPT entry', CODES, 'little');
    const typeGuid = formatGuid(entry.take(16, 'PartitionTypeGUID'));
    const guid = formatGuid(entry.take(16, 'UniquePartitionGUID'));
    const firstBlock = entry.u64('StartingLBA');
    const lastBlock = entry.u64('EndingLBA');
    entry.u64('Attributes');
    const name = printable(decodeUtf16(entry.take(72, 'PartitionName')));
    partitions.push({ typeGuid, guid, firstBlock, lastBlock, name });
  }
  reader.end();
  return { diskGuid, partitions };
}
