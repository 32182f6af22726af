import { ByteReader } from '../bytes/byte-reader.js';
import { reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { readExactly } from './byte-source.js';
import { type PeImage, type PeSection, sectionExtent, sectionSource } from './pe-image.js';

const CODE = MEASUREMENT_CODES['pe.relocation'];
const CODES = { truncated: CODE, trailing: CODE } as const;
/** Stubs have a few hundred bytes. */
const MAX_TABLE_BYTES = 1024 * 1024;
const BLOCK_HEADER_BYTES = 8;
const ABSOLUTE = 0;
/** Bytes that a base relocation changes, by type: HIGH, LOW, HIGHLOW. All others: at most 8. */
const FIXUP_BYTES: Readonly<Record<number, number>> = { 1: 2, 2: 2, 3: 4 };
const MAX_FIXUP_BYTES = 8;

interface Range {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/**
 * Checks that the image's base relocations leave these sections alone, and the headers by which the
 * stub finds them, and the relocations themselves. Firmware loads an image where there is room and
 * adds the distance at each place that the table names: a measured section would depend on it.
 *
 * Throws `pe.relocation`.
 * Source: Microsoft PE format, "The .reloc Section"; EDK2's PeCoffLoaderRelocateImage.
 */
export async function checkRelocations(
  image: PeImage,
  isMeasured: (section: PeSection) => boolean,
): Promise<void> {
  const { virtualAddress, size } = image.relocations;
  if (size === 0) return;
  const end = virtualAddress + size;
  const home = image.sections.find(
    (one) => virtualAddress >= one.virtualAddress && end <= one.virtualAddress + one.virtualSize,
  );
  if (home === undefined || size > MAX_TABLE_BYTES)
    fail(
      `a table of at most ${MAX_TABLE_BYTES} bytes inside a section`,
      `${size} bytes at ${virtualAddress}`,
    );
  const taboo: Range[] = [
    { name: 'the headers', from: 0, to: image.sizeOfHeaders },
    { name: 'the relocations', from: virtualAddress, to: end },
    ...image.sections.filter(isMeasured).map((section) => ({
      name: section.name,
      from: section.virtualAddress,
      to: section.virtualAddress + sectionExtent(section),
    })),
  ];
  const from = virtualAddress - home.virtualAddress;
  const table = await readExactly(sectionSource(image, home), from, size, 'relocations', CODE);
  const reader: ByteReader = new ByteReader(table, 'relocations', CODES, 'little');
  while (reader.left > 0) checkBlock(reader, image.sizeOfImage, taboo);
}

function checkBlock(reader: ByteReader, sizeOfImage: number, taboo: readonly Range[]): void {
  const page = reader.u32('VirtualAddress');
  const blockBytes = reader.u32('SizeOfBlock');
  if (blockBytes < BLOCK_HEADER_BYTES || blockBytes % 2 !== 0)
    reader.fail(CODE, 'SizeOfBlock', 'an even number from 8 on', `${blockBytes}`);
  const block = reader.take(blockBytes - BLOCK_HEADER_BYTES, 'block');
  // Only the sections that a page of 4 KiB (and a fixup at its end) can reach.
  const near = taboo.filter(({ from, to }) => to > page && from < page + 4096 + MAX_FIXUP_BYTES);
  for (let i = 0; i < block.length; i += 2) {
    const entry = (block[i] as number) | ((block[i + 1] as number) << 8);
    const type = entry >> 12;
    if (type === ABSOLUTE) continue;
    const at = page + (entry & 0xfff);
    const end = at + (FIXUP_BYTES[type] ?? MAX_FIXUP_BYTES);
    if (end > sizeOfImage) fail(`a fixup inside the image of ${sizeOfImage} bytes`, `one at ${at}`);
    const hit = near.find(({ from, to }) => end > from && at < to);
    if (hit !== undefined) fail(`${hit.name} as in the file`, `a fixup at ${at} inside`);
  }
}

function fail(expected: string, actual: string): never {
  reject(CODE, expected, actual);
}
