import type { Bytes } from '../bytes/bytes.js';
import { decodeHex, encodeHex } from '../bytes/hex.js';

/** EFI_GLOBAL_VARIABLE (UEFI 2.10, 3.3). */
export const GLOBAL_VARIABLE_GUID: string = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** EFI_IMAGE_SECURITY_DATABASE_GUID: db and dbx (UEFI 2.10, 32.6.1). */
export const IMAGE_SECURITY_DATABASE_GUID: string = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';

const ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

/**
 * The text of an EFI_GUID: its first three fields are little-endian (UEFI 2.10, appendix A), so
 * the text is not the bytes in order. 16 bytes in.
 */
export function formatGuid(bytes: Uint8Array): string {
  const hex = encodeHex(Uint8Array.from(ORDER, (index) => bytes[index] ?? 0));
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}

/** The 16 bytes of a GUID written as text. */
export function guidBytes(text: string): Bytes {
  const plain = decodeHex(text.replaceAll('-', ''));
  if (plain?.length !== 16) throw new TypeError(`not a GUID: ${text}`);
  return Uint8Array.from(ORDER, (index) => plain[index] as number);
}
