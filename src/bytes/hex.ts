import type { Bytes } from './bytes.js';

const DIGITS: readonly string[] = Array.from({ length: 256 }, (_, i) =>
  i.toString(16).padStart(2, '0'),
);

/** Value of an ASCII character as a hex digit, -1 for the others. */
const VALUES: Int8Array = (() => {
  const values = new Int8Array(128).fill(-1);
  for (const digits of ['0123456789abcdef', '0123456789ABCDEF'])
    for (let value = 0; value < 16; value++) values[digits.charCodeAt(value)] = value;
  return values;
})();

/** Lower-case hex without separators. */
export function encodeHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += DIGITS[byte];
  return text;
}

/** The bytes of a hex text (either case, no prefix, no separators), or undefined when it is not one. */
export function decodeHex(text: string): Bytes | undefined {
  if (text.length % 2 !== 0) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = VALUES[text.charCodeAt(2 * i)] ?? -1;
    const low = VALUES[text.charCodeAt(2 * i + 1)] ?? -1;
    if (high < 0 || low < 0) return undefined;
    bytes[i] = high * 16 + low;
  }
  return bytes;
}
