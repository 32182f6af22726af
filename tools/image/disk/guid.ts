import { createHash } from 'node:crypto';

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
