import type { ByteReader, ByteWriter } from 'tee-verify/bytes';
import { PCR_COUNT } from './constants.js';
import { readList, refuse } from './read-structure.js';

/** PCRs of one bank (TPMS_PCR_SELECTION, Part 2, 10.6.2). */
export interface PcrSelection {
  /** TPM_ALG of the bank, e.g. 0x000c for SHA-384. */
  readonly hashAlgorithm: number;
  /** Ascending, each 0..31. */
  readonly indices: readonly number[];
}

/** All 24 PCRs of a bank. */
export function allPcrs(hashAlgorithm: number): PcrSelection {
  return { hashAlgorithm, indices: Array.from({ length: PCR_COUNT }, (_, i) => i) };
}

export function writePcrSelections(
  writer: ByteWriter,
  selections: readonly PcrSelection[],
): ByteWriter {
  writer.u32(selections.length);
  for (const { hashAlgorithm, indices } of selections) {
    const bitmap = new Uint8Array(Math.max(3, ...indices.map((index) => (index >> 3) + 1)));
    for (const index of indices)
      bitmap[index >> 3] = (bitmap[index >> 3] as number) | (1 << (index & 7));
    writer.u16(hashAlgorithm).u8(bitmap.length).bytes(bitmap);
  }
  return writer;
}

export function readPcrSelections(reader: ByteReader): PcrSelection[] {
  return readList(reader, 'pcrSelections', 16, (item) => {
    const hashAlgorithm = item.u16('pcrSelection hash');
    const size = item.u8('sizeofSelect');
    if (size > 4) refuse(item, 'sizeofSelect', 'at most 4', `${size}`);
    return { hashAlgorithm, indices: readPcrBitmap(item, size) };
  });
}

/** The PCRs of a bitmap of `size` bytes: bit i of byte i/8 stands for PCR i. */
export function readPcrBitmap(reader: ByteReader, size: number): number[] {
  const bitmap = reader.take(size, 'pcrSelect');
  const indices: number[] = [];
  for (let index = 0; index < size * 8; index++)
    if (((bitmap[index >> 3] as number) & (1 << (index & 7))) !== 0) indices.push(index);
  return indices;
}
