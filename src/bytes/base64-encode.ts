import { STANDARD, URL_SAFE } from './base64.js';

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
