import { createHash } from 'node:crypto';

/** GPT writes the first three fields of a GUID little-endian (UEFI 2.10, appendix A). */
const ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

/** The 16 bytes of a GUID as a partition table holds them. */
export function encodeGuid(text: string): Uint8Array {
  const plain = Buffer.from(text.replaceAll('-', ''), 'hex');
  if (plain.length !== 16) throw new TypeError(`not a GUID: ${text}`);
  return Uint8Array.from(ORDER, (index) => plain[index] as number);
}

/** The text of a GUID of a partition table, lower case. */
export function decodeGuid(bytes: Uint8Array): string {
  return guidOfHex(Buffer.from(ORDER.map((index) => bytes[index] as number)).toString('hex'));
}

/** 32 hex digits as the text of a GUID, in the same order. */
export function guidOfHex(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** A UUID of version 8 (RFC 9562, 5.8) made of what it names, always the same. */
export function derivedUuid(purpose: string, content: string): string {
  const hash = createHash('sha256').update(`tee-image ${purpose}\0${content}`).digest();
  hash[6] = ((hash[6] as number) & 0x0f) | 0x80;
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80;
  return guidOfHex(hash.toString('hex', 0, 16));
}

/** UUIDs of a data partition and of its hashes: the halves of the root hash, as systemd finds them. */
export function partitionUuids(rootHash: string): readonly [data: string, hashes: string] {
  return [guidOfHex(rootHash.slice(0, 32)), guidOfHex(rootHash.slice(32))];
}
