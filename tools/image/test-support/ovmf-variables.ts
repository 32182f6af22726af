/** Attributes of boot variables: non-volatile, boot services, runtime. */
const BOOT_ATTRIBUTES = 7;
const GLOBAL = [
  0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0, 0xe0, 0x98, 3, 0x2b, 0x8c,
];

/**
 * A copy of OVMF's variable file with one boot entry: the first partition's
 * \EFI\BOOT\BOOTX64.EFI, started with these load options. For tests.
 *
 * The store starts behind the firmware volume's header (72 bytes); records of authenticated
 * variables follow its own header (28 bytes), 4-byte aligned (EDK2, VariableFormat.h).
 */
export function withBootEntry(
  store: Uint8Array,
  partition: Uint8Array,
  loadOptions: string,
): Uint8Array {
  const bytes = new Uint8Array(store);
  let at = endOfRecords(bytes);
  for (const [name, data] of [
    ['Boot0077', loadOption(partition, loadOptions)],
    ['BootOrder', Uint8Array.of(0x77, 0)],
  ] as const) {
    const record = variableRecord(name, data);
    bytes.set(record, at);
    at += Math.ceil(record.length / 4) * 4;
  }
  return bytes;
}

function endOfRecords(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 72 + 28;
  while (view.getUint16(at, true) === 0x55aa) {
    const size = 60 + view.getUint32(at + 36, true) + view.getUint32(at + 40, true);
    at += Math.ceil(size / 4) * 4;
  }
  return at;
}

/** AUTHENTICATED_VARIABLE_HEADER, name and data. */
function variableRecord(name: string, data: Uint8Array): Uint8Array {
  const nameBytes = utf16(`${name}\0`);
  const record = new Uint8Array(60 + nameBytes.length + data.length);
  const view = new DataView(record.buffer);
  view.setUint16(0, 0x55aa, true);
  view.setUint8(2, 0x3f); // VAR_ADDED
  view.setUint32(4, BOOT_ATTRIBUTES, true);
  view.setUint32(36, nameBytes.length, true);
  view.setUint32(40, data.length, true);
  record.set(GLOBAL, 44);
  record.set(nameBytes, 60);
  record.set(data, 60 + nameBytes.length);
  return record;
}

/** EFI_LOAD_OPTION with the short device path HD(1,GPT,…)/\EFI\BOOT\BOOTX64.EFI. */
function loadOption(partition: Uint8Array, options: string): Uint8Array {
  const file = utf16('\\EFI\\BOOT\\BOOTX64.EFI\0');
  const path = [...partition, 0x04, 0x04, 4 + file.length, 0, ...file, 0x7f, 0xff, 4, 0];
  return Uint8Array.from([
    ...[1, 0, 0, 0, path.length & 0xff, path.length >> 8],
    ...utf16('test\0'),
    ...path,
    ...utf16(`${options}\0`),
  ]);
}

const utf16 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf16le'));
