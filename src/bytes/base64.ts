import type { Bytes } from './bytes.js';

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** Arguments of one call: engines allow no more than some ten thousand. */
const MAX_ARGUMENTS = 8192;

const VALUES: Int8Array = (() => {
  const values = new Int8Array(128).fill(-1);
  for (const last of ['+/', '-_'])
    for (let i = 0; i < 64; i++) values[(DIGITS + last).charCodeAt(i)] = i;
  return values;
})();

/** Base64 (RFC 4648, section 4) with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += MAX_ARGUMENTS)
    binary += String.fromCharCode(...bytes.subarray(at, at + MAX_ARGUMENTS));
  return btoa(binary);
}

/** Base64url (RFC 4648, section 5) without padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return encodeBase64(bytes).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
}

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
    const code = text.charCodeAt(i);
    const value = code < 128 ? (VALUES[code] as number) : -1;
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
