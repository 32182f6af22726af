import { asciiBytes, type Bytes } from './bytes.js';

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** Digits by value (RFC 4648, section 4). */
export const STANDARD: Uint8Array = asciiBytes(`${DIGITS}+/`);
/** Digits by value (RFC 4648, section 5). */
export const URL_SAFE: Uint8Array = asciiBytes(`${DIGITS}-_`);

/** Value of a byte as a digit of either alphabet, -1 for the others. */
const VALUES: Int8Array = Int8Array.from({ length: 128 }, (_, code) =>
  Math.max(STANDARD.indexOf(code), URL_SAFE.indexOf(code)),
);

/**
 * The bytes of a base64 or base64url text, padded or not, or undefined when it is neither.
 * Strict (RFC 4648, section 3): one alphabet, right padding, no bits left over, so that one byte
 * string has at most four spellings and none of them hides data.
 */
export function decodeBase64(text: string): Bytes | undefined {
  let length = text.length;
  while (length > 0 && text.length - length < 2 && text[length - 1] === '=') length--;
  const padding = text.length - length;
  const rest = length % 4;
  if (rest === 1 || (padding > 0 && (length + padding) % 4 !== 0)) return undefined;
  if (/[+/]/.test(text) && /[-_]/.test(text)) return undefined;
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  let buffered = 0;
  let bits = 0;
  let at = 0;
  for (let i = 0; i < length; i++) {
    const value = VALUES[text.charCodeAt(i)] ?? -1;
    if (value < 0) return undefined;
    buffered = ((buffered << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (buffered >> bits) & 0xff;
    }
  }
  if ((buffered & ((1 << bits) - 1)) !== 0) return undefined;
  return bytes;
}
