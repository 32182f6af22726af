import { ToolError } from '../../common/tool-error.js';
import { ARCHITECTURES, type ImageArchitecture } from './architecture.js';

/** One partition of an image. Offsets and sizes in bytes. */
export interface DescribedPartition {
  /** From 1, the place in the partition table. */
  readonly number: number;
  readonly label: string;
  /** GUIDs as lower-case text. */
  readonly type: string;
  readonly uuid: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Of the data partition: how many bytes dm-verity protects. The rest of it is zeros. */
  readonly dataBytes?: number;
}

/** What `partitions.json` says about a raw image (docs/images.md). */
export interface PartitionDescription {
  readonly version: 1;
  /** File name of the raw image beside the description. */
  readonly image: string;
  readonly architecture: ImageArchitecture;
  readonly sectorBytes: 512;
  readonly sizeBytes: number;
  readonly diskUuid: string;
  /** Root hash of dm-verity, 64 lower-case hex digits. */
  readonly rootHash: string;
  /** Volume id of the EFI system partition, 8 lower-case hex digits. */
  readonly espVolumeId: string;
  /** The EFI system partition, the data partition, its hash partition. */
  readonly partitions: readonly [DescribedPartition, DescribedPartition, DescribedPartition];
}

type JsonObject = Readonly<Record<string, unknown>>;

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}\.raw$/;
const LABELS = [
  ['esp', 'root', 'root-verity'],
  ['esp', 'usr', 'usr-verity'],
];
/** As large as an EBS volume gets: 64 TiB. */
const MAX_BYTES = 2 ** 46;
const MAX_CHARACTERS = 64 * 1024;

/** The text of `partitions.json`, with a newline at its end. */
export function formatPartitionDescription(description: PartitionDescription): string {
  return `${JSON.stringify(description, null, 2)}\n`;
}

/**
 * Reads `partitions.json`: every field must be there, no other may, and the partitions must lie one
 * behind the other inside the image. Throws `partitions.malformed`.
 */
export function parsePartitionDescription(text: string): PartitionDescription {
  if (text.length > MAX_CHARACTERS) malformed('at most 64 KiB', `${text.length} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ToolError('partitions.malformed', { expected: 'JSON', actual: 'other text', cause });
  }
  const json = object(value, 'the description', [
    ...['version', 'image', 'architecture', 'sectorBytes', 'sizeBytes', 'diskUuid', 'rootHash'],
    ...['espVolumeId', 'partitions'],
  ]);
  if (json.version !== 1) malformed('version 1', show(json.version));
  if (json.sectorBytes !== 512) malformed('sectorBytes 512', show(json.sectorBytes));
  const { architecture } = json;
  if (typeof architecture !== 'string' || !Object.hasOwn(ARCHITECTURES, architecture))
    malformed(`architecture ${Object.keys(ARCHITECTURES).join(' or ')}`, show(architecture));
  const sizeBytes = bytes(json.sizeBytes, 'sizeBytes');
  const list = json.partitions;
  if (!Array.isArray(list) || list.length !== 3) malformed('three partitions', show(list));
  const partitions = list.map((entry, i) => readPartition(entry, i));
  checkLayout(partitions, sizeBytes);
  return {
    version: 1,
    image: readText(json.image, 'image', FILE_NAME),
    architecture: architecture as ImageArchitecture,
    sectorBytes: 512,
    sizeBytes,
    diskUuid: readText(json.diskUuid, 'diskUuid', GUID),
    rootHash: readText(json.rootHash, 'rootHash', /^[0-9a-f]{64}$/),
    espVolumeId: readText(json.espVolumeId, 'espVolumeId', /^[0-9a-f]{8}$/),
    partitions: partitions as unknown as PartitionDescription['partitions'],
  };
}

function readPartition(value: unknown, index: number): DescribedPartition {
  const where = `partitions[${index}]`;
  const isData = index === 1;
  const json = object(value, where, [
    ...['number', 'label', 'type', 'uuid', 'offsetBytes', 'sizeBytes'],
    ...(isData ? ['dataBytes'] : []),
  ]);
  if (json.number !== index + 1) malformed(`${where}.number ${index + 1}`, show(json.number));
  const sizeBytes = bytes(json.sizeBytes, `${where}.sizeBytes`);
  const dataBytes = isData ? bytes(json.dataBytes, `${where}.dataBytes`) : undefined;
  if (dataBytes !== undefined && dataBytes > sizeBytes)
    malformed(`${where}.dataBytes of at most ${sizeBytes}`, `${dataBytes}`);
  return {
    number: index + 1,
    label: readText(json.label, `${where}.label`, /^[a-z-]{1,36}$/),
    type: readText(json.type, `${where}.type`, GUID),
    uuid: readText(json.uuid, `${where}.uuid`, GUID),
    offsetBytes: bytes(json.offsetBytes, `${where}.offsetBytes`),
    sizeBytes,
    ...(dataBytes === undefined ? {} : { dataBytes }),
  };
}

function checkLayout(partitions: readonly DescribedPartition[], sizeBytes: number): void {
  const labels = partitions.map(({ label }) => label);
  if (!LABELS.some((known) => known.join() === labels.join()))
    malformed(`labels ${LABELS.map((known) => known.join()).join(' or ')}`, show(labels.join()));
  if (new Set(partitions.map(({ uuid }) => uuid)).size !== partitions.length)
    malformed('uuids that differ', 'the same one twice');
  let end = 512;
  for (const partition of partitions) {
    if (partition.offsetBytes < end)
      malformed(
        `partition ${partition.number} from ${end} on, behind the one before`,
        `${partition.offsetBytes}`,
      );
    end = partition.offsetBytes + partition.sizeBytes;
  }
  if (end > sizeBytes) malformed(`partitions inside ${sizeBytes} bytes`, `their end at ${end}`);
}

function object(value: unknown, where: string, keys: readonly string[]): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    malformed(`${where} as an object`, show(value));
  const found = Object.keys(value as object);
  const missing = keys.find((key) => !found.includes(key));
  const unknown = found.find((key) => !keys.includes(key));
  if (missing !== undefined) malformed(`${where} with ${missing}`, 'none');
  if (unknown !== undefined) malformed(`${where} without other fields`, show(unknown));
  return value as JsonObject;
}

/** A whole number of sectors, as bytes, more than none. */
function bytes(value: unknown, where: string): number {
  if (typeof value !== 'number' || !(value > 0 && value <= MAX_BYTES) || value % 512 !== 0)
    malformed(`${where} as a multiple of 512 up to ${MAX_BYTES}`, show(value));
  return value as number;
}

function readText(value: unknown, where: string, form: RegExp): string {
  if (typeof value !== 'string' || !form.test(value))
    malformed(`${where} of the form ${form.source}`, show(value));
  return value as string;
}

function show(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 100) ?? 'nothing';
}

function malformed(expected: string, actual: string): never {
  throw new ToolError('partitions.malformed', { expected, actual });
}
