import { ByteReader } from '../bytes/byte-reader.js';
import { reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { type ByteSource, readExactly } from './byte-source.js';
import type { Piece } from './digest-jobs.js';
import { decodeAscii, printable } from './text.js';

const CODES = {
  truncated: MEASUREMENT_CODES['pe.truncated'],
  trailing: MEASUREMENT_CODES['pe.malformed'],
} as const;
/** As many as systemd-stub and Windows accept. */
const MAX_SECTIONS = 96;
const MAX_HEADER_BYTES = 1024 * 1024;
/** How much larger a section may be in memory than in the file; the rest is zeros. */
const MAX_ZEROS = 16 * 1024 * 1024;
const SECURITY_DIRECTORY = 4;
const RELOCATION_DIRECTORY = 5;

/** One section of a PE image. Offsets and sizes in bytes. */
export interface PeSection {
  /** E.g. `.linux`; escaped when it is not printable. */
  readonly name: string;
  /** Offset from the image's base in memory. */
  readonly virtualAddress: number;
  /** Size in memory; systemd-stub measures this many bytes. */
  readonly virtualSize: number;
  /** Where its data starts in the file, and how much there is. */
  readonly rawOffset: number;
  readonly rawSize: number;
}

/** What is known of a PE image after reading its headers. */
export interface PeImage {
  readonly source: ByteSource;
  /** IMAGE_FILE_MACHINE, e.g. 0x8664 (x86-64), 0xaa64 (arm64). */
  readonly machine: number;
  readonly sizeOfHeaders: number;
  readonly sizeOfImage: number;
  /** In the order of the section table. */
  readonly sections: readonly PeSection[];
  readonly checksumOffset: number;
  /** Where the entry of the certificate table stands; undefined when there is none. */
  readonly certificateEntryOffset: number | undefined;
  /** The attribute certificates at the end of the file; size 0 when there are none. */
  readonly certificates: { readonly offset: number; readonly size: number };
  /** The base relocation table in memory; size 0 when there is none. See `checkRelocations`. */
  readonly relocations: { readonly virtualAddress: number; readonly size: number };
  /** End of the last section's data, where trailing bytes start. */
  readonly endOfSections: number;
}

/**
 * Reads the headers of a PE32 or PE32+ image and checks its layout as firmware would, strictly
 * where firmware and tools would read two different images.
 *
 * Throws `pe.not-pe`, `pe.truncated`, `pe.malformed`, `pe.limit-exceeded`, `pe.section-range`,
 * `pe.section-overlap`, `pe.section-gap`, `pe.certificate-table`.
 * Source: Microsoft PE format; EDK2's PE/COFF loader for what firmware insists on.
 */
export async function readPeImage(source: ByteSource): Promise<PeImage> {
  if (source.size < 64) notPe('an MZ header of 64 bytes', `${source.size} bytes`);
  const dos = await readExactly(source, 0, 64, 'MZ header');
  if (dos[0] !== 0x4d || dos[1] !== 0x5a) notPe('MZ', printable(decodeAscii(dos.subarray(0, 2))));
  const peOffset = new DataView(dos.buffer, dos.byteOffset).getUint32(60, true);
  if (peOffset > MAX_HEADER_BYTES || peOffset + 24 > source.size)
    notPe('a PE header', `its offset ${peOffset}`);
  const coff = reader(await readExactly(source, peOffset, 24, 'PE header'), 'PE header');
  if (coff.u32('signature') !== 0x00004550) notPe('PE\\0\\0', 'another signature');
  const machine = coff.u16('Machine');
  const sectionCount = coff.u16('NumberOfSections');
  coff.take(12, 'TimeDateStamp to NumberOfSymbols');
  const optionalBytes = coff.u16('SizeOfOptionalHeader');
  if (sectionCount > MAX_SECTIONS)
    reject(
      MEASUREMENT_CODES['pe.limit-exceeded'],
      `at most ${MAX_SECTIONS} sections`,
      `${sectionCount}`,
    );
  const optionalOffset = peOffset + 24;
  const optional = await readExactly(source, optionalOffset, optionalBytes, 'optional header');
  const header = readOptionalHeader(optional, optionalOffset);
  const tableOffset = optionalOffset + optionalBytes;
  const table = await readExactly(source, tableOffset, sectionCount * 40, 'section table');
  if (
    header.sizeOfHeaders < tableOffset + table.length ||
    header.sizeOfHeaders > Math.min(source.size, header.sizeOfImage, MAX_HEADER_BYTES)
  )
    reject(
      MEASUREMENT_CODES['pe.malformed'],
      `SizeOfHeaders from the section table's end (${tableOffset + table.length}) to the file's and the image's size`,
      `${header.sizeOfHeaders}`,
    );
  const sections = readSections(reader(table, 'section table'), sectionCount);
  for (const section of sections) checkRange(section, source.size, header);
  checkMemoryOverlap(sections);
  const endOfSections = checkFileLayout(sections, header.sizeOfHeaders);
  checkCertificates(header.certificates, endOfSections, source.size);
  return { source, machine, sections, endOfSections, ...header };
}

/**
 * The section of this name; undefined when there is none, or an empty one. Throws
 * `uki.section-duplicate`, also when one of two is empty: readers differ in which they take.
 */
export function findSection(image: PeImage, name: string): PeSection | undefined {
  const found = image.sections.filter((section) => section.name === name);
  if (found.length > 1)
    reject(MEASUREMENT_CODES['uki.section-duplicate'], `one section ${name}`, `${found.length}`);
  return found[0]?.virtualSize === 0 ? undefined : found[0];
}

/**
 * How many bytes of memory a section takes. EDK2 copies all of its file data where VirtualSize is
 * 0 (PeCoffLoaderLoadImage).
 */
export function sectionExtent({ virtualSize, rawSize }: PeSection): number {
  return virtualSize === 0 ? rawSize : virtualSize;
}

/** A section's contents as they stand in memory: file data, then zeros up to VirtualSize. */
export function sectionPieces(
  section: PeSection,
  from = 0,
  length: number = section.virtualSize - from,
): Piece[] {
  const inFile = Math.min(section.rawSize, section.virtualSize);
  const fileLength = Math.max(0, Math.min(length, inFile - from));
  const pieces: Piece[] = [];
  if (fileLength > 0) pieces.push({ offset: section.rawOffset + from, length: fileLength });
  if (length > fileLength) pieces.push({ zeros: length - fileLength });
  return pieces;
}

/** A section's contents in memory as a source of its own, e.g. the kernel inside a UKI. */
export function sectionSource(image: PeImage, section: PeSection): ByteSource {
  const inFile = Math.min(section.rawSize, section.virtualSize);
  return {
    size: section.virtualSize,
    read: async (offset, length) => {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, section.virtualSize - offset)));
      const fromFile = Math.max(0, Math.min(bytes.length, inFile - offset));
      if (fromFile > 0)
        bytes.set(
          await readExactly(image.source, section.rawOffset + offset, fromFile, section.name),
        );
      return bytes;
    },
  };
}

function readOptionalHeader(
  bytes: Uint8Array,
  offset: number,
): Pick<
  PeImage,
  | 'sizeOfImage'
  | 'sizeOfHeaders'
  | 'checksumOffset'
  | 'certificateEntryOffset'
  | 'certificates'
  | 'relocations'
> {
  const header = reader(bytes, 'optional header');
  const magic = header.u16('Magic');
  if (magic !== 0x10b && magic !== 0x20b)
    reject(
      MEASUREMENT_CODES['pe.malformed'],
      'PE32 (0x10b) or PE32+ (0x20b)',
      `0x${magic.toString(16)}`,
    );
  header.take(54, 'fields up to SizeOfImage');
  const sizeOfImage = header.u32('SizeOfImage');
  const sizeOfHeaders = header.u32('SizeOfHeaders');
  const checksumOffset = offset + header.offset;
  header.u32('CheckSum');
  header.take(magic === 0x10b ? 24 : 40, 'fields up to NumberOfRvaAndSizes');
  const count = header.u32('NumberOfRvaAndSizes');
  if (count > 16 || count * 8 > header.left)
    reject(
      MEASUREMENT_CODES['pe.malformed'],
      'at most 16 data directories inside the header',
      `${count}`,
    );
  const known = { sizeOfImage, sizeOfHeaders, checksumOffset };
  let certificateEntryOffset: number | undefined;
  let certificates = { offset: 0, size: 0 };
  let relocations = { virtualAddress: 0, size: 0 };
  if (count > SECURITY_DIRECTORY) {
    header.take(SECURITY_DIRECTORY * 8, 'data directories');
    certificateEntryOffset = offset + header.offset;
    certificates = { offset: header.u32('offset'), size: header.u32('size') };
  }
  if (count > RELOCATION_DIRECTORY)
    relocations = { virtualAddress: header.u32('VirtualAddress'), size: header.u32('Size') };
  return { ...known, certificateEntryOffset, certificates, relocations };
}

function readSections(table: ByteReader, count: number): PeSection[] {
  return Array.from({ length: count }, () => {
    const name = printable(decodeAscii(table.take(8, 'Name')));
    const virtualSize = table.u32('VirtualSize');
    const virtualAddress = table.u32('VirtualAddress');
    const rawSize = table.u32('SizeOfRawData');
    const rawOffset = table.u32('PointerToRawData');
    table.take(16, 'PointerToRelocations to Characteristics');
    return { name, virtualAddress, virtualSize, rawOffset, rawSize };
  });
}

function checkRange(
  section: PeSection,
  fileSize: number,
  { sizeOfImage, sizeOfHeaders }: Pick<PeImage, 'sizeOfImage' | 'sizeOfHeaders'>,
): void {
  const extent = sectionExtent(section);
  const { name, rawOffset, rawSize, virtualAddress, virtualSize } = section;
  if (rawSize > 0 && rawOffset + rawSize > fileSize)
    reject(
      MEASUREMENT_CODES['pe.section-range'],
      `${name} inside the file of ${fileSize} bytes`,
      `its end at ${rawOffset + rawSize}`,
    );
  if (virtualAddress + extent > sizeOfImage)
    reject(
      MEASUREMENT_CODES['pe.section-range'],
      `${name} inside the image of ${sizeOfImage} bytes`,
      `its end at ${virtualAddress + extent}`,
    );
  // The stub finds its sections by the headers in memory.
  if (extent > 0 && virtualAddress < sizeOfHeaders)
    reject(
      MEASUREMENT_CODES['pe.section-overlap'],
      `${name} behind the headers of ${sizeOfHeaders} bytes in memory`,
      `its address ${virtualAddress}`,
    );
  if (virtualSize - rawSize > MAX_ZEROS)
    reject(
      MEASUREMENT_CODES['pe.limit-exceeded'],
      `${name} at most ${MAX_ZEROS} bytes larger in memory`,
      `${virtualSize - rawSize}`,
    );
}

/** Sections that share memory would overwrite each other before they are measured. */
function checkMemoryOverlap(sections: readonly PeSection[]): void {
  const sorted = sections
    .filter((section) => sectionExtent(section) > 0)
    .sort((a, b) => a.virtualAddress - b.virtualAddress);
  for (const [i, section] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next !== undefined && section.virtualAddress + sectionExtent(section) > next.virtualAddress)
      reject(
        MEASUREMENT_CODES['pe.section-overlap'],
        'sections apart in memory',
        `${section.name} and ${next.name}`,
      );
  }
}

/**
 * Sections must follow each other without gaps: firmware counts the bytes of headers and sections
 * and hashes what lies beyond that count, signing tools hash what lies beyond the last section.
 */
function checkFileLayout(sections: readonly PeSection[], sizeOfHeaders: number): number {
  let end = sizeOfHeaders;
  for (const { name, rawOffset, rawSize } of inFileOrder(sections)) {
    if (rawOffset < end)
      reject(
        MEASUREMENT_CODES['pe.section-overlap'],
        `${name} from offset ${end} on`,
        `${rawOffset}`,
      );
    if (rawOffset > end)
      reject(MEASUREMENT_CODES['pe.section-gap'], `${name} at offset ${end}`, `${rawOffset}`);
    end = rawOffset + rawSize;
  }
  return end;
}

/** The sections with data, by where their data stands. */
export function inFileOrder(sections: readonly PeSection[]): PeSection[] {
  return sections.filter(({ rawSize }) => rawSize > 0).sort((a, b) => a.rawOffset - b.rawOffset);
}

function checkCertificates(
  { offset, size }: PeImage['certificates'],
  endOfSections: number,
  fileSize: number,
): void {
  if (size === 0) return;
  if (offset < endOfSections || offset + size !== fileSize)
    reject(
      MEASUREMENT_CODES['pe.certificate-table'],
      `from ${endOfSections} or later to the file's end at ${fileSize}`,
      `${offset} to ${offset + size}`,
    );
}

function reader(bytes: Uint8Array, what: string): ByteReader {
  return new ByteReader(bytes, what, CODES, 'little');
}

function notPe(expected: string, actual: string): never {
  return reject(MEASUREMENT_CODES['pe.not-pe'], expected, actual);
}
