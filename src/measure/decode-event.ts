import { ByteReader } from '../bytes/byte-reader.js';
import { encodeHex } from '../bytes/hex.js';
import { AttestationError } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { certificateSubject } from './certificate-subject.js';
import { formatDevicePath } from './device-path.js';
import { EVENT_TYPE } from './event-types.js';
import { type GptPartition, parseGptEvent } from './gpt.js';
import { formatGuid, GLOBAL_VARIABLE_GUID, IMAGE_SECURITY_DATABASE_GUID } from './guid.js';
import { parseSignatureList, type SignatureType } from './signature-list.js';
import { decodeAscii, decodeUtf16, isAsciiText, isUtf16Text, printable } from './text.js';
import { parseVariableData } from './uefi-variable.js';

/** An entry of PK, KEK, db or dbx, for people. */
export interface DecodedSignature {
  readonly type: SignatureType;
  /** GUID of whoever enrolled it, as text. */
  readonly owner: string;
  /** The certificate's common name, when there is one. */
  readonly subject?: string;
  /** The digest in hex, for entries that are one. */
  readonly digest?: string;
}

/** What an event says, for people. Only `summary` is always there. */
export interface DecodedEvent {
  /** One line, fit for a terminal: control characters are written out. */
  readonly summary: string;
  readonly variable?: { readonly guid: string; readonly name: string; readonly bytes: number };
  readonly signatures?: readonly DecodedSignature[];
  readonly devicePath?: string;
  readonly partitions?: readonly GptPartition[];
  readonly text?: string;
  /** Why the data could not be read; firmware does write odd events. */
  readonly undecodable?: string;
}

/** As much of an event as decoding needs. */
export interface EventContents {
  readonly type: number;
  readonly data: Uint8Array;
  /** Whether `data` is what a UEFI variable holds, without its name. Default: no. */
  readonly isVariableData?: boolean;
}

const CODES = {
  truncated: MEASUREMENT_CODES['eventlog.truncated'],
  trailing: MEASUREMENT_CODES['eventlog.truncated'],
} as const;
const MAX_SIGNATURES_SHOWN = 1024;

/** Event tags that Linux's EFI stub, systemd-boot and systemd-stub write, by their ids. */
const TAGS: Readonly<Record<number, string>> = {
  2403017452: 'Linux: initrd',
  2403017453: 'Linux: load options',
  975487853: 'systemd-stub: UKI profile',
};

/**
 * Says what the data of an event means. Never throws for bad data: firmware writes odd events, and
 * event data alone decides nothing. Whether the data is what was measured, `checkEventData` says.
 */
export function decodeEvent(event: EventContents): DecodedEvent {
  const { isVariableData = false } = event;
  try {
    return isVariableData ? decodeBootOption(event.data, 'boot option') : decode(event);
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    if (isVariableData) return { summary: summarize(event.data) }; // e.g. BootOrder
    return { summary: summarize(event.data), undecodable: error.message };
  }
}

function decode({ type, data }: EventContents): DecodedEvent {
  switch (type) {
    case EVENT_TYPE.EV_NO_ACTION:
      return decodeNoAction(data);
    case EVENT_TYPE.EV_SEPARATOR:
      return { summary: decodeSeparator(data) };
    case EVENT_TYPE.EV_S_CRTM_VERSION:
      return decodeVersion(data);
    case EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EVENT_TYPE.EV_EFI_VARIABLE_BOOT:
    case EVENT_TYPE.EV_EFI_VARIABLE_BOOT2:
    case EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY:
      return decodeVariable(data, type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY);
    case EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION:
    case EVENT_TYPE.EV_EFI_BOOT_SERVICES_DRIVER:
    case EVENT_TYPE.EV_EFI_RUNTIME_SERVICES_DRIVER:
      return decodeImage(data);
    case EVENT_TYPE.EV_EFI_GPT_EVENT:
    case EVENT_TYPE.EV_EFI_GPT_EVENT2: {
      const { diskGuid, partitions } = parseGptEvent(data);
      const names = partitions.map(({ name, guid }) => name || guid).join(', ');
      return {
        summary: `disk ${diskGuid}: ${partitions.length} partitions (${names})`,
        partitions,
      };
    }
    case EVENT_TYPE.EV_EFI_PLATFORM_FIRMWARE_BLOB: {
      const reader = new ByteReader(data, 'firmware blob', CODES, 'little');
      const base = reader.u64('base');
      const length = reader.u64('length');
      return { summary: `firmware at 0x${base.toString(16)}, ${length} bytes` };
    }
    case EVENT_TYPE.EV_EFI_PLATFORM_FIRMWARE_BLOB2: {
      const reader = new ByteReader(data, 'firmware blob', CODES, 'little');
      const name = printable(
        decodeAscii(reader.take(reader.u8('description size'), 'description')),
      );
      const base = reader.u64('base');
      return { summary: `${name} at 0x${base.toString(16)}, ${reader.u64('length')} bytes` };
    }
    case EVENT_TYPE.EV_EVENT_TAG:
      return decodeTag(data);
    default:
      return decodeText(data);
  }
}

function decodeNoAction(data: Uint8Array): DecodedEvent {
  const signature = decodeAscii(data.subarray(0, 16));
  if (signature === 'StartupLocality') return { summary: `StartupLocality ${data[16]}` };
  return isAsciiText(data.subarray(0, 15))
    ? { summary: `not measured: ${printable(signature)}` }
    : { summary: `not measured: ${summarize(data)}` };
}

function decodeSeparator(data: Uint8Array): string {
  const hex = encodeHex(data);
  if (hex === '00000000' || hex === 'ffffffff')
    return 'end of the firmware\u2019s own measurements';
  if (hex === '01000000') return 'the firmware reports an error';
  return summarize(data);
}

/** A GUID (EDK2 without a version), or UTF-16 text. */
function decodeVersion(data: Uint8Array): DecodedEvent {
  if (data.length === 16 && !isUtf16Text(data)) return { summary: `version ${formatGuid(data)}` };
  const text = printable(decodeUtf16(data));
  return { summary: text === '' ? 'no version' : `version ${text}`, text };
}

function decodeVariable(data: Uint8Array, authority: boolean): DecodedEvent {
  const variable = parseVariableData(data);
  const name = printable(variable.name);
  const facts = { guid: variable.guid, name, bytes: variable.data.length };
  const isDatabase =
    (variable.guid === GLOBAL_VARIABLE_GUID && (name === 'PK' || name === 'KEK')) ||
    variable.guid === IMAGE_SECURITY_DATABASE_GUID;
  if (authority) return decodeAuthority(variable.data, name, facts);
  if (isDatabase) {
    const signatures = parseSignatureList(variable.data)
      .slice(0, MAX_SIGNATURES_SHOWN)
      .map(({ type, owner, data: entry }) => decodeSignature(type, owner, entry));
    const what = signatures.map(nameSignature);
    const shown =
      what.slice(0, 4).join('; ') + (what.length > 4 ? `; ${what.length - 4} more` : '');
    return { summary: `${name}: ${shown || 'empty'}`, variable: facts, signatures };
  }
  if (variable.guid !== GLOBAL_VARIABLE_GUID)
    return { summary: `${name}: ${summarize(variable.data)}`, variable: facts };
  if (name === 'SecureBoot')
    return { summary: `SecureBoot ${variable.data[0] === 1 ? 'on' : 'off'}`, variable: facts };
  if (name === 'BootOrder') {
    const order: string[] = [];
    for (let i = 0; i + 1 < variable.data.length && order.length < 256; i += 2)
      order.push(encodeHex(variable.data.slice(i, i + 2).toReversed()));
    return { summary: `BootOrder ${order.join(', ')}`, variable: facts };
  }
  if (/^Boot[0-9A-F]{4}$/.test(name)) return decodeBootOption(variable.data, name, facts);
  return { summary: `${name}: ${summarize(variable.data)}`, variable: facts };
}

/** EFI_LOAD_OPTION (UEFI 2.10, 3.1.3). */
function decodeBootOption(
  data: Uint8Array,
  name: string,
  variable?: DecodedEvent['variable'],
): DecodedEvent {
  const reader = new ByteReader(data, 'EFI_LOAD_OPTION', CODES, 'little');
  reader.u32('Attributes');
  const pathBytes = reader.u16('FilePathListLength');
  const rest = data.subarray(reader.offset);
  const title = decodeUtf16(rest);
  reader.take(title.length * 2 + 2, 'Description');
  const devicePath = formatDevicePath(reader.take(pathBytes, 'FilePathList'));
  const options = reader.take(reader.left, 'OptionalData');
  const suffix = options.length === 0 ? '' : `, options ${summarize(options)}`;
  const summary = `${name} ${JSON.stringify(printable(title))}: ${devicePath}${suffix}`;
  return { summary, ...(variable === undefined ? {} : { variable }), devicePath };
}

/** EFI_SIGNATURE_DATA of whoever vouched for an image; shim writes a bare certificate or a text. */
function decodeAuthority(
  data: Uint8Array,
  name: string,
  variable: NonNullable<DecodedEvent['variable']>,
): DecodedEvent {
  if (data.length > 16 && certificateSubject(data.subarray(16)) !== undefined) {
    const owner = formatGuid(data.subarray(0, 16));
    const signature = decodeSignature('x509', owner, data.subarray(16));
    const summary = `image allowed by ${name}: ${nameSignature(signature)}`;
    return { summary, variable, signatures: [signature] };
  }
  const subject = certificateSubject(data);
  return {
    summary: `image allowed by ${name}: ${subject ?? summarize(data)}`,
    variable,
    ...(subject === undefined ? {} : { text: subject }),
  };
}

function decodeSignature(type: SignatureType, owner: string, data: Uint8Array): DecodedSignature {
  if (type !== 'x509') return { type, owner, digest: encodeHex(data.subarray(0, 64)) };
  const subject = certificateSubject(data);
  return subject === undefined ? { type, owner } : { type, owner, subject };
}

const nameSignature = ({ type, subject, digest }: DecodedSignature): string =>
  subject ?? (type === 'x509' ? 'unreadable certificate' : `${type} ${digest?.slice(0, 16)}\u2026`);

/** UEFI_IMAGE_LOAD_EVENT (TCG PC Client Platform Firmware Profile 1.06, 10.2.3). */
function decodeImage(data: Uint8Array): DecodedEvent {
  const reader = new ByteReader(data, 'UEFI_IMAGE_LOAD_EVENT', CODES, 'little');
  reader.u64('ImageLocationInMemory');
  const bytes = reader.u64('ImageLengthInMemory');
  reader.u64('ImageLinkTimeAddress');
  const length = reader.u64('LengthOfDevicePath');
  if (length > BigInt(reader.left)) reader.take(Number.MAX_SAFE_INTEGER, 'DevicePath'); // always past the end
  const devicePath = formatDevicePath(reader.take(Number(length), 'DevicePath'));
  return { summary: `image of ${bytes} bytes from ${devicePath || 'memory'}`, devicePath };
}

/** PCClientTaggedEvent: id u32, size u32, data. */
function decodeTag(data: Uint8Array): DecodedEvent {
  const reader = new ByteReader(data, 'tagged event', CODES, 'little');
  const id = reader.u32('taggedEventID');
  const contents = reader.take(reader.u32('taggedEventDataSize'), 'taggedEventData');
  const name = TAGS[id] ?? `tag 0x${id.toString(16)}`;
  const text = isAsciiText(contents) || isUtf16Text(contents) ? summarize(contents) : undefined;
  return {
    summary: `${name} (${text ?? `${contents.length} bytes`})`,
    ...(text === undefined ? {} : { text }),
  };
}

function decodeText(data: Uint8Array): DecodedEvent {
  const summary = summarize(data);
  return isAsciiText(data) || isUtf16Text(data) ? { summary, text: summary } : { summary };
}

/** A text when the bytes are one, else the beginning in hex. */
function summarize(data: Uint8Array): string {
  if (data.length === 0) return 'no data';
  if (isUtf16Text(data)) return printable(decodeUtf16(data));
  if (isAsciiText(data)) return printable(decodeAscii(data).trimEnd());
  const hex = encodeHex(data.subarray(0, 32));
  return data.length > 32 ? `${hex}\u2026 (${data.length} bytes)` : hex;
}
