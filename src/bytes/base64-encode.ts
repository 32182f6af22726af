import { STANDARD, URL_SAFE } from './base64.js';

/** Base64 (RFC 4648, section 4) with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  return encode(bytes, STANDARD).padEnd(4 * Math.ceil(bytes.length / 3), '=');
}

/** Base64url (RFC 4648, section 5) without padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return encode(bytes, URL_SAFE);
}

/**
 * Base64url of a text as UTF-8. For ASCII the engine's own `btoa` does it, in a twentieth of the
 * time; other characters it does not know, or takes for Latin-1.
 */
export function encodeTextBase64Url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length !== text.length) return encodeBase64Url(bytes);
  const digits = btoa(text).replaceAll('+', '-').replaceAll('/', '_');
  const padding = digits.indexOf('=');
  return padding < 0 ? digits : digits.slice(0, padding);
}

/** As bytes first: a text that grows by characters, and btoa of one, take ten times as long. */
function encode(bytes: Uint8Array, alphabet: Uint8Array): string {
  const text = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  const byte = (at: number): number => bytes[at] ?? 0;
  const digit = (value: number): number => alphabet[value & 63] as number;
  let from = 0;
  let to = 0;
  for (; to + 4 <= text.length; from += 3, to += 4) {
    const three = (byte(from) << 16) | (byte(from + 1) << 8) | byte(from + 2);
    text[to] = digit(three >> 18);
    text[to + 1] = digit(three >> 12);
    text[to + 2] = digit(three >> 6);
    text[to + 3] = digit(three);
  }
  // One or two bytes are left, for two or three digits.
  const rest = (byte(from) << 16) | (byte(from + 1) << 8);
  for (let shift = 18; to < text.length; shift -= 6) text[to++] = digit(rest >> shift);
  return new TextDecoder().decode(text);
}
