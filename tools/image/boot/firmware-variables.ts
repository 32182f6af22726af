import { ByteWriter, equalBytes } from 'tee-verify/bytes';
import { GLOBAL_VARIABLE_GUID, guidBytes, IMAGE_SECURITY_DATABASE_GUID } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import type { SecureBootIdentity } from '../signing/secure-boot-identity.js';

/** A variable to be put into firmware's file. */
export interface FirmwareVariable {
  readonly name: string;
  /** The vendor's GUID as text. */
  readonly guid: string;
  /** EFI_VARIABLE_… bits (UEFI 2.10, 8.2). */
  readonly attributes: number;
  readonly data: Uint8Array;
}

/** Non-volatile, boot services; for boot variables also runtime; PK and the like authenticated. */
const NV_BS = 0x03;
const NV_BS_RT_AUTHENTICATED = 0x27;

/** EDK2: SecureBootEnable (gEfiSecureBootEnableDisableGuid), CustomMode (gEfiCustomModeEnableGuid). */
const SECURE_BOOT_ENABLE_GUID = 'f0a30bc7-af08-4556-99c4-001009c93a44';
const CUSTOM_MODE_GUID = 'c076ec0c-7028-4399-a072-71ee5c448b9f';

// EFI_FIRMWARE_VOLUME_HEADER (PI 1.8, volume 3, 3.2.1) with one block map entry and its end.
const VOLUME_HEADER_BYTES = 72;
const NV_DATA_GUID = 'fff12b8d-7696-4c8b-a985-2747075b4f50';
// VARIABLE_STORE_HEADER and AUTHENTICATED_VARIABLE_HEADER (EDK2, VariableFormat.h).
const STORE_HEADER_BYTES = 28;
const AUTHENTICATED_STORE_GUID = 'aaf32c78-947b-439a-a180-2e144ec37792';
const STORE_FORMATTED = 0x5a;
const STORE_HEALTHY = 0xfe;
const RECORD_HEADER_BYTES = 60;
const RECORD_START = 0x55aa;
const VARIABLE_ADDED = 0x3f;
/** Bits that are cleared in a state: added, in deleted transition. */
const STATE_DELETED = 0xfd;
const MAX_RECORDS = 4096;
const SECURE_BOOT_NAMES = ['PK', 'KEK', 'db', 'dbx'];

/** What enrols an identity: PK, KEK, db and dbx, and Secure Boot on. */
export function secureBootVariables({ variables }: SecureBootIdentity): FirmwareVariable[] {
  const attributes = NV_BS_RT_AUTHENTICATED;
  const [owner, database] = [GLOBAL_VARIABLE_GUID, IMAGE_SECURITY_DATABASE_GUID];
  return [
    {
      name: 'SecureBootEnable',
      guid: SECURE_BOOT_ENABLE_GUID,
      attributes: NV_BS,
      data: Uint8Array.of(1),
    },
    { name: 'CustomMode', guid: CUSTOM_MODE_GUID, attributes: NV_BS, data: Uint8Array.of(0) },
    { name: 'db', guid: database, attributes, data: variables.db },
    { name: 'dbx', guid: database, attributes, data: variables.dbx },
    { name: 'KEK', guid: owner, attributes, data: variables.KEK },
    { name: 'PK', guid: owner, attributes, data: variables.PK },
    // An empty variable is an absent one.
  ].filter(({ data }) => data.length > 0);
}

/**
 * A copy of EDK2's variable file (OVMF_VARS*.fd) with more variables. The file must have no Secure
 * Boot keys yet. Throws `boot.firmware-variables`.
 */
export function addFirmwareVariables(
  file: Uint8Array,
  variables: readonly FirmwareVariable[],
): Uint8Array {
  const bytes = new Uint8Array(file);
  const { at: start, end } = findStore(bytes);
  let at = endOfRecords(bytes, start, end);
  for (const variable of variables) {
    const record = encodeRecord(variable);
    const next = at + align4(record.length);
    if (next > end) fail(`room for ${variable.name}`, `${end - at} bytes`);
    if (!bytes.subarray(at, next).every((byte) => byte === 0xff))
      fail('erased bytes behind the records', `others at ${at}`);
    bytes.set(record, at);
    at = next;
  }
  return bytes;
}

/** Where the store's records begin and its space ends. */
function findStore(bytes: Uint8Array): { at: number; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < VOLUME_HEADER_BYTES + STORE_HEADER_BYTES)
    fail('a firmware volume', `${bytes.length} bytes`);
  const hasGuid = (offset: number, guid: string): boolean =>
    equalBytes(bytes.subarray(offset, offset + 16), guidBytes(guid));
  if (!hasGuid(16, NV_DATA_GUID) || view.getUint32(40, true) !== 0x4856465f)
    fail('a firmware volume of variables', 'something else');
  if (view.getUint16(48, true) !== VOLUME_HEADER_BYTES)
    fail(`a volume header of ${VOLUME_HEADER_BYTES} bytes`, `${view.getUint16(48, true)}`);
  const store = VOLUME_HEADER_BYTES;
  if (!hasGuid(store, AUTHENTICATED_STORE_GUID))
    fail('a store of authenticated variables', 'another one: firmware without Secure Boot');
  const size = view.getUint32(store + 16, true);
  const [format, state] = [bytes[store + 20], bytes[store + 21]];
  if (format !== STORE_FORMATTED || state !== STORE_HEALTHY)
    fail('a formatted and healthy store', `format ${format}, state ${state}`);
  if (size < STORE_HEADER_BYTES || store + size > bytes.length)
    fail(`a store of at most ${bytes.length - store} bytes`, `${size}`);
  return { at: store + STORE_HEADER_BYTES, end: store + size };
}

function endOfRecords(bytes: Uint8Array, start: number, end: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = start;
  for (let count = 0; at + 2 <= end && view.getUint16(at, true) === RECORD_START; count++) {
    if (count === MAX_RECORDS || at + RECORD_HEADER_BYTES > end)
      fail(`at most ${MAX_RECORDS} whole records`, 'more, or a cut one');
    const [nameSize, dataSize] = [view.getUint32(at + 36, true), view.getUint32(at + 40, true)];
    const next = at + align4(RECORD_HEADER_BYTES + nameSize + dataSize);
    if (next > end) fail('records inside the store', `one of ${nameSize} and ${dataSize} bytes`);
    const from = at + RECORD_HEADER_BYTES;
    const name = Buffer.from(bytes.subarray(from, from + nameSize)).toString('utf16le');
    const isLive = ((bytes[at + 2] ?? 0) | STATE_DELETED) !== STATE_DELETED;
    if (isLive && SECURE_BOOT_NAMES.includes(name.replace(/\0$/, '')))
      fail('no Secure Boot keys in it yet', name.replace(/\0$/, ''));
    at = next;
  }
  return at;
}

/** AUTHENTICATED_VARIABLE_HEADER, name with its NUL, data. Count, time and key index stay zero. */
function encodeRecord({ name, guid, attributes, data }: FirmwareVariable): Uint8Array {
  const nameBytes = Buffer.from(`${name}\0`, 'utf16le');
  return new ByteWriter('little')
    .u16(RECORD_START)
    .u8(VARIABLE_ADDED)
    .u8(0)
    .u32(attributes)
    .bytes(new Uint8Array(28))
    .u32(nameBytes.length)
    .u32(data.length)
    .bytes(guidBytes(guid))
    .bytes(nameBytes)
    .bytes(data)
    .finish();
}

const align4 = (length: number): number => Math.ceil(length / 4) * 4;

function fail(expected: string, actual: string): never {
  throw new ToolError('boot.firmware-variables', { expected, actual });
}
