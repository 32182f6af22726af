import type { ByteReader, Bytes, ByteWriter } from 'tee-verify/bytes';
import { copyBytes } from 'tee-verify/bytes';
import { written } from './read-structure.js';

/** Public area of an NV index (TPMS_NV_PUBLIC, Part 2, 13.5). */
export interface NvPublic {
  /** 0x01000000..0x01ffffff. */
  readonly nvIndex: number;
  readonly nameAlgorithm: number;
  /** Bits of `TPMA_NV`. */
  readonly attributes: number;
  readonly authPolicy: Uint8Array;
  /** In bytes. */
  readonly dataSize: number;
}

/** The bytes of a TPMS_NV_PUBLIC, without the size of a TPM2B. */
export function encodeNvPublic(area: NvPublic): Bytes {
  return written((writer) => writeNvPublic(writer, area));
}

export function writeNvPublic(writer: ByteWriter, area: NvPublic): ByteWriter {
  return writer
    .u32(area.nvIndex)
    .u16(area.nameAlgorithm)
    .u32(area.attributes)
    .sized16(area.authPolicy)
    .u16(area.dataSize);
}

export function readNvPublic(reader: ByteReader): NvPublic {
  return {
    nvIndex: reader.u32('nvIndex'),
    nameAlgorithm: reader.u16('nameAlg'),
    attributes: reader.u32('attributes'),
    authPolicy: copyBytes(reader.sized16('authPolicy', 64)),
    dataSize: reader.u16('dataSize'),
  };
}
