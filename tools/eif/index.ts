/** Nitro Enclave images: building, signing, comparing, extracting. Reading them is in `tee-verify/measure`. */
export { type BuiltEif, buildEif, type EifParts } from './build-eif.js';
export type { BuildMetadata } from './build-metadata.js';
export type { CpioContents, CpioEntry } from './cpio-entry.js';
export { type ExtractedEif, type ExtractOptions, extractEif } from './extract-eif.js';
export { nodeCrc32 } from './node-crc32.js';
export {
  type ApplicationContents,
  applicationEntries,
  type BootstrapContents,
  bootstrapEntries,
  type Compression,
  ramdiskPieces,
} from './ramdisks.js';
export { type FilePart, type Pieces, readPieces } from './read-pieces.js';
export { type ReadTreeOptions, readTree } from './read-tree.js';
export { signEif } from './sign-eif.js';
export { createEifSigner, type EifSigner } from './sign-pcr0.js';
export { type EifMatch, verifyEif } from './verify-eif.js';
export { writeCpio } from './write-cpio.js';
