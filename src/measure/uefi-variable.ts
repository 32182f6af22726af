import { ByteReader } from '../bytes/byte-reader.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import type { Bytes } from '../bytes/bytes.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { formatGuid, guidBytes } from './guid.js';
import { decodeUtf16, encodeUtf16 } from './text.js';

/** A UEFI variable as firmware measures it. */
export interface UefiVariable {
  /** The vendor GUID as text. */
  readonly guid: string;
  readonly name: string;
  readonly data: Uint8Array;
}

const CODES = {
  truncated: MEASUREMENT_CODES['eventlog.truncated'],
  trailing: MEASUREMENT_CODES['eventlog.truncated'],
} as const;
const MAX_NAME_CHARACTERS = 1024n;

/**
 * Writes UEFI_VARIABLE_DATA (TCG PC Client Platform Firmware Profile 1.06, 10.2.6): GUID, u64 name
 * length in characters, u64 data length, name in UTF-16LE without NUL, data. The lengths have 64
 * bits also in 32-bit firmware.
 */
export function encodeVariableData({ guid, name, data }: UefiVariable): Bytes {
  return new ByteWriter('little')
    .bytes(guidBytes(guid))
    .u64(BigInt(name.length))
    .u64(BigInt(data.length))
    .bytes(encodeUtf16(name))
    .bytes(data)
    .finish();
}

/**
 * Reads UEFI_VARIABLE_DATA. `trailingBytes` counts what follows it: old versions of shim log a few
 * bytes too many. Throws `eventlog.truncated` for anything else.
 */
export function parseVariableData(
  bytes: Uint8Array,
): UefiVariable & { readonly trailingBytes: number } {
  const reader = new ByteReader(bytes, 'UEFI_VARIABLE_DATA', CODES, 'little');
  const guid = formatGuid(reader.take(16, 'VariableName'));
  const nameLength = reader.u64('UnicodeNameLength');
  const dataLength = reader.u64('VariableDataLength');
  if (nameLength > MAX_NAME_CHARACTERS)
    reader.fail(CODES.truncated, 'UnicodeNameLength', 'at most 1024', `${nameLength}`);
  const name = decodeUtf16(reader.take(Number(nameLength) * 2, 'UnicodeName'));
  if (dataLength > BigInt(reader.left))
    reader.fail(CODES.truncated, 'VariableData', `${dataLength} bytes`, `${reader.left} left`);
  const data = reader.take(Number(dataLength), 'VariableData');
  return { guid, name, data, trailingBytes: reader.left };
}
