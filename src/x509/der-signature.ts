import type { Bytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import type { CodeRow } from '../result/codes.js';
import { DerReader } from './der.js';

/**
 * The raw form (r || s) of a DER ECDSA signature: SEQUENCE { INTEGER r, INTEGER s } (RFC 3279,
 * 2.2.3), strict. Zero and negative numbers and numbers longer than a coordinate are refused;
 * whether r and s are below the group order is for the provider. High-S is valid.
 */
export function rawSignature(
  der: Uint8Array,
  coordinateBytes: number,
  what: string,
  code: CodeRow,
): Bytes {
  const outer = new DerReader(der, what, code);
  const numbers = outer.sequence('signature');
  outer.end();
  const raw = new Uint8Array(2 * coordinateBytes);
  for (const [index, name] of ['r', 's'].entries()) {
    const contents = numbers.integer(name);
    const magnitude = contents[0] === 0 ? contents.subarray(1) : contents;
    if ((contents[0] as number) & 0x80 || magnitude.length === 0)
      numbers.fail(name, 'a positive INTEGER', encodeHex(contents));
    if (magnitude.length > coordinateBytes)
      numbers.fail(name, `at most ${coordinateBytes} bytes`, `${magnitude.length}`);
    raw.set(magnitude, (index + 1) * coordinateBytes - magnitude.length);
  }
  numbers.end();
  return raw;
}
