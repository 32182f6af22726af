import { gzipSync } from 'node:zlib';

/** Bytes as a short text, in units of 1000 like size-limit. */
export function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

/** The size of a text or of bytes after gzip at its best. */
export function gzipKilobytes(content) {
  return kilobytes(gzipSync(content, { level: 9 }).length);
}
