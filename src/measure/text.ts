import type { Bytes } from '../bytes/bytes.js';

/** UTF-16LE text up to its first NUL or the end; an odd last byte is left out. */
export function decodeUtf16(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    const unit = (bytes[i] as number) | ((bytes[i + 1] as number) << 8);
    if (unit === 0) break;
    text += String.fromCharCode(unit);
  }
  return text;
}

/** UTF-16LE, without a NUL. */
export function encodeUtf16(text: string): Bytes {
  const bytes = new Uint8Array(text.length * 2);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    bytes[2 * i] = unit & 0xff;
    bytes[2 * i + 1] = unit >> 8;
  }
  return bytes;
}

/** One byte a character, up to the first NUL. */
export function decodeAscii(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}

/**
 * A text from an untrusted source, fit for a terminal or a page: control characters, lone
 * surrogates and whatever turns the direction of writing appear as \uXXXX; at most `max` characters.
 */
export function printable(text: string, max = 512): string {
  const shown = text
    .slice(0, max)
    .replace(
      /[^\x20-\x7e\u00a1-\u02af\u0370-\u03ff\u0400-\u04ff\u3040-\u30ff\u4e00-\u9fff]/g,
      (c) => {
        return `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
      },
    );
  return text.length > max ? `${shown}\u2026 (${text.length} characters)` : shown;
}

/**
 * Whether bytes are plain text: printable ASCII (some of it visible), tabs and line ends, possibly
 * NULs at the end.
 */
export function isAsciiText(bytes: Uint8Array): boolean {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length--;
  let visible = false;
  for (let i = 0; i < length; i++) {
    const byte = bytes[i] as number;
    if (byte !== 9 && byte !== 10 && byte !== 13 && (byte < 0x20 || byte > 0x7e)) return false;
    visible ||= byte > 0x20;
  }
  return visible;
}

/** Whether bytes look like UTF-16LE text in ASCII, possibly with NULs at the end. */
export function isUtf16Text(bytes: Uint8Array): boolean {
  if (bytes.length < 2 || bytes.length % 2 !== 0) return false;
  const low = bytes.filter((_, i) => i % 2 === 0);
  return bytes.every((byte, i) => i % 2 === 0 || byte === 0) && isAsciiText(low);
}
