import { ByteReader } from '../bytes/byte-reader.js';
import { encodeHex } from '../bytes/hex.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { formatGuid } from './guid.js';
import { decodeUtf16, printable } from './text.js';

const CODES = {
  truncated: MEASUREMENT_CODES['eventlog.truncated'],
  trailing: MEASUREMENT_CODES['eventlog.truncated'],
} as const;
const MAX_NODES = 64;

/**
 * The text of an EFI device path, in the manner of UEFI 2.10, 10.6.1.6, e.g.
 * `PciRoot(0x0)/Pci(0x3,0x0)/NVMe(0x1,…)/HD(1,GPT,…)/\EFI\BOOT\BOOTX64.EFI`. Nodes that are not
 * known appear with type, subtype and data.
 *
 * Throws `eventlog.truncated` when a node goes past the end.
 */
export function formatDevicePath(bytes: Uint8Array): string {
  const reader = new ByteReader(bytes, 'device path', CODES, 'little');
  const nodes: string[] = [];
  while (reader.left > 0) {
    const type = reader.u8('type');
    const subType = reader.u8('subtype');
    const length = reader.u16('length');
    if (length < 4 || nodes.length >= MAX_NODES)
      reader.fail(
        CODES.truncated,
        'node',
        `at most ${MAX_NODES} nodes of 4 or more bytes`,
        `${length}`,
      );
    const data = reader.take(length - 4, 'node');
    if (type === 0x7f) {
      if (subType === 0xff) break;
      nodes.push(',');
      continue;
    }
    nodes.push(formatNode(type, subType, data));
  }
  return nodes.join('/').replaceAll('/,/', ', ');
}

function formatNode(type: number, subType: number, data: Uint8Array): string {
  const format = NODES[(type << 8) | subType];
  const reader = new ByteReader(data, 'device path node', CODES, 'little');
  return format === undefined
    ? `Path(${type},${subType},${encodeHex(data.subarray(0, 64))})`
    : format(reader);
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
const guid = (reader: ByteReader): string => formatGuid(reader.take(16, 'GUID'));

/** Key: type << 8 | subtype (UEFI 2.10, 10.3). */
const NODES: Readonly<Record<number, (reader: ByteReader) => string>> = {
  // Hardware.
  257: (reader) => {
    const fn = reader.u8('function');
    return `Pci(${hex(reader.u8('device'))},${hex(fn)})`;
  },
  259: (reader) =>
    `MemoryMapped(${[hex(reader.u32('type')), hex(reader.u64('start')), hex(reader.u64('end'))]})`,
  260: (reader) => `VenHw(${guid(reader)})`,
  // ACPI: PNP0A03 (PCI root) and PNP0A08 (PCIe root) in compressed EISA form.
  513: (reader) => {
    const hid = reader.u32('HID');
    const uid = reader.u32('UID');
    if (hid === 0x0a0341d0) return `PciRoot(${hex(uid)})`;
    if (hid === 0x0a0841d0) return `PcieRoot(${hex(uid)})`;
    return `Acpi(${hex(hid)},${hex(uid)})`;
  },
  // Messaging.
  769: (reader) => `Ata(${reader.u8('primary')},${reader.u8('slave')},${reader.u16('LUN')})`,
  770: (reader) => `Scsi(${hex(reader.u16('target'))},${hex(reader.u16('LUN'))})`,
  773: (reader) => `USB(${hex(reader.u8('port'))},${hex(reader.u8('interface'))})`,
  778: (reader) => `VenMsg(${guid(reader)})`,
  779: (reader) => `MAC(${encodeHex(reader.take(32, 'address').subarray(0, 6))})`,
  786: (reader) =>
    `Sata(${[hex(reader.u16('port')), hex(reader.u16('multiplier')), hex(reader.u16('LUN'))]})`,
  791: (reader) =>
    `NVMe(${hex(reader.u32('namespace'))},${encodeHex(reader.take(8, 'EUI').toReversed())})`,
  792: (reader) => `Uri(${printable(asciiOf(reader.take(reader.left, 'URI')))})`,
  // Media.
  1025: formatHardDrive,
  1026: (reader) => `CDROM(${hex(reader.u32('boot entry'))})`,
  1027: (reader) => `VenMedia(${guid(reader)})`,
  1028: (reader) => printable(decodeUtf16(reader.take(reader.left, 'path'))),
  1030: (reader) => `FvFile(${guid(reader)})`,
  1031: (reader) => `Fv(${guid(reader)})`,
  1032: (reader) => {
    reader.u32('reserved');
    return `Offset(${hex(reader.u64('start'))},${hex(reader.u64('end'))})`;
  },
};

function formatHardDrive(reader: ByteReader): string {
  const partition = reader.u32('partition');
  const start = reader.u64('start');
  const size = reader.u64('size');
  const signature = reader.take(16, 'signature');
  reader.u8('MBR type');
  const kind = reader.u8('signature type');
  const id =
    kind === 2
      ? `GPT,${formatGuid(signature)}`
      : kind === 1
        ? `MBR,${encodeHex(signature.slice(0, 4).toReversed())}`
        : 'none';
  return `HD(${partition},${id},${hex(start)},${hex(size)})`;
}

const asciiOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes.subarray(0, 1024));
