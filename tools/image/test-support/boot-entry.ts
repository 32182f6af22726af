import { GLOBAL_VARIABLE_GUID } from 'tee-verify/measure';
import type { FirmwareVariable } from '../boot/firmware-variables.js';

/** Attributes of boot variables: non-volatile, boot services, runtime. */
const BOOT_ATTRIBUTES = 7;

/**
 * The variables of one boot entry: the first partition's \EFI\BOOT\BOOTX64.EFI, started with these
 * load options. `partition` is its device path node. For tests.
 */
export function bootEntry(partition: Uint8Array, loadOptions: string): FirmwareVariable[] {
  const common = { guid: GLOBAL_VARIABLE_GUID, attributes: BOOT_ATTRIBUTES };
  return [
    { ...common, name: 'Boot0077', data: loadOption(partition, loadOptions) },
    { ...common, name: 'BootOrder', data: Uint8Array.of(0x77, 0) },
  ];
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
