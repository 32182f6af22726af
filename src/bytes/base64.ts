import { asciiBytes, type Bytes } from './bytes.js';

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const STANDARD = asciiBytes(`${DIGITS}+/`);
const URL_SAFE = asciiBytes(`${DIGITS}-_`);

const VALUES: Int8Array = (() => {
  const values = new Int8Array(128).fill(-1);
  for (const alphabet of [STANDARD, URL_SAFE])
    alphabet.forEach((code, value) => {
      values[code] = value;
    });
  return values;
})();

/** Base64 (RFC 4648, section 4) with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  return encode(bytes, STANDARD).padEnd(4 * Math.ceil(bytes.length / 3), '=');
}

/** Base64url (RFC 4648, section 5) without padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return encode(bytes, URL_SAFE);
}

/** As bytes first: a text that grows by characters, and btoa of one, take ten times as long. */
function encode(bytes: Uint8Array, alphabet: Uint8Array): string {
  const text = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  for (let i = 0; i < text.length; i++) {
    const at = (i * 3) >> 2;
    const two = ((bytes[at] as number) << 8) | (bytes[at + 1] ?? 0);
    text[i] = alphabet[(two >> (10 - 2 * ((i * 3) & 3))) & 63] as number;
  }
  return new TextDecoder().decode(text);
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
