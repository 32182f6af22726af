/** Byte strings: bounded reader and writer, hex, base64, comparison. Public as `tee-verify/bytes`. */
export { decodeBase64 } from './base64.js';
export { encodeBase64, encodeBase64Url } from './base64-encode.js';
export { ByteReader, type ByteReaderCodes } from './byte-reader.js';
export { ByteWriter } from './byte-writer.js';
export {
  asciiBytes,
  type Bytes,
  compareBytes,
  concatBytes,
  copyBytes,
  equalBytes,
  isFilledWith,
} from './bytes.js';
export { decodeHex, encodeHex } from './hex.js';
