import type { Bytes } from '../bytes/bytes.js';
import { decodeHex, encodeHex } from '../bytes/hex.js';

/** EFI_GLOBAL_VARIABLE (UEFI 2.10, 3.3). */
export const GLOBAL_VARIABLE_GUID: string = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** EFI_IMAGE_SECURITY_DATABASE_GUID: db and dbx (UEFI 2.10, 32.6.1). */
export const IMAGE_SECURITY_DATABASE_GUID: string = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';

/**
 * The text of an EFI_GUID: its first three fields are little-endian (UEFI 2.10, appendix A), so
 * the text is not the bytes in order. 16 bytes in.
 */
export function formatGuid(bytes: Uint8Array): string {
  const at = (...indexes: readonly number[]): string =>
    encodeHex(Uint8Array.from(indexes, (index) => bytes[index] ?? 0));
  return [at(3, 2, 1, 0), at(5, 4), at(7, 6), at(8, 9), at(10, 11, 12, 13, 14, 15)].join('-');
}

/** The 16 bytes of a GUID written as text. */
export function guidBytes(text: string): Bytes {
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  const plain = decodeHex(text.replaceAll('-', ''));
  if (plain?.length !== 16) throw new TypeError(`not a GUID: ${text}`);
  return Uint8Array.from(order, (index) => plain[index] as number);
}
