import { asciiBytes } from 'tee-verify/bytes';
import { bytesSource, readPeImage } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { viewOf } from '../disk/read-at.js';

/** A section that is added to a stub. */
export interface NewSection {
  /** E.g. `.cmdline`; at most 8 characters. */
  readonly name: string;
  readonly sizeBytes: number;
}

/** Where everything of a UKI stands. Offsets in the file, in bytes. */
export interface UkiLayout {
  /** The stub as it stands in the UKI: new headers, then its sections. */
  readonly head: Uint8Array;
  readonly sections: readonly (NewSection & { readonly offset: number })[];
  /** Size of the UKI; a multiple of 8, so that signing does not pad it. */
  readonly sizeBytes: number;
}

/** What a UKI adds, or what a stub would take for it (UAPI Unified Kernel Image). */
const UKI_SECTIONS = new Set([
  ...['.linux', '.osrel', '.cmdline', '.initrd', '.ucode', '.splash', '.dtb', '.dtbauto'],
  ...['.uname', '.pcrsig', '.pcrpkey', '.profile', '.hwids', '.efifw'],
]);
const SECTION_BYTES = 40;
const PAGE_BYTES = 4096;
/** IMAGE_SCN_CNT_INITIALIZED_DATA and IMAGE_SCN_MEM_READ. */
const CHARACTERISTICS = 0x4000_0040;
/** Firmware loads an image as a whole; none is near this. */
const MAX_BYTES = 2 ** 31;
/** Offsets inside the COFF and the optional header (Microsoft PE format). */
const COFF = { sections: 6, time: 8, symbols: 12, symbolCount: 16, optionalBytes: 20 } as const;
const OPTIONAL = {
  initializedData: 8,
  sectionAlignment: 32,
  fileAlignment: 36,
  sizeOfImage: 56,
  sizeOfHeaders: 60,
  checksum: 64,
} as const;

/**
 * Plans a UKI: the stub with more sections behind its own, in memory and in the file. What would make
 * the file differ between machines or move its digest when it is signed goes: time stamp, checksum,
 * symbol table. Addresses in headers are relative to the image base, so any base will do.
 *
 * Throws `stub.*`, `uki-build.*`, and the `pe.*` codes of a stub that is no PE image.
 */
export async function layoutUki(
  stub: Uint8Array,
  machine: number,
  added: readonly NewSection[],
): Promise<UkiLayout> {
  const image = await readPeImage(bytesSource(stub));
  const input = viewOf(stub);
  const pe = input.getUint32(60, true);
  const optional = pe + 24;
  checkStub(stub, image, machine);
  const fileAlignment = input.getUint32(optional + OPTIONAL.fileAlignment, true);
  const sectionAlignment = input.getUint32(optional + OPTIONAL.sectionAlignment, true);
  if (!isAlignment(fileAlignment) || !isAlignment(sectionAlignment))
    unsupported('alignments of 8 bytes to 1 MiB', `${fileAlignment} and ${sectionAlignment}`);
  if (image.endOfSections % fileAlignment !== 0)
    unsupported(`sections that end at a multiple of ${fileAlignment}`, `${image.endOfSections}`);

  const tableEnd =
    optional +
    input.getUint16(pe + COFF.optionalBytes, true) +
    image.sections.length * SECTION_BYTES;
  const needed = tableEnd + added.length * SECTION_BYTES;
  const shift = Math.max(0, align(needed - image.sizeOfHeaders, fileAlignment));
  const firstAddress = Math.min(...image.sections.map(({ virtualAddress }) => virtualAddress));
  const sizeOfHeaders = image.sizeOfHeaders + shift;
  if (sizeOfHeaders > firstAddress || image.sections.length + added.length > 96)
    throw new ToolError('stub.no-header-room', {
      expected: `${needed} bytes of headers before the first section`,
      actual: `${firstAddress}`,
    });

  // Headers, then room for more of them, then the sections of the stub.
  const head = new Uint8Array(image.endOfSections + shift);
  head.set(stub.subarray(0, tableEnd));
  head.set(stub.subarray(image.sizeOfHeaders, image.endOfSections), sizeOfHeaders);
  const output = viewOf(head);
  for (let i = 0; shift > 0 && i < image.sections.length; i++) {
    const at = tableEnd - (image.sections.length - i) * SECTION_BYTES + 20;
    const rawOffset = output.getUint32(at, true);
    if (rawOffset > 0) output.setUint32(at, rawOffset + shift, true);
  }

  const step = Math.max(sectionAlignment, PAGE_BYTES);
  let address = align(image.sizeOfImage, step);
  let offset = head.length;
  let initialized = 0;
  const sections = added.map((section, i) => {
    const rawBytes = align(section.sizeBytes, fileAlignment);
    writeSectionHeader(head, tableEnd + i * SECTION_BYTES, section, address, rawBytes, offset);
    const placed = { ...section, offset };
    address = align(address + section.sizeBytes, step);
    offset += rawBytes;
    initialized += rawBytes;
    return placed;
  });
  const before = output.getUint32(optional + OPTIONAL.initializedData, true);
  if (offset > MAX_BYTES || address > MAX_BYTES || before + initialized > MAX_BYTES)
    throw new ToolError('uki-build.too-large', {
      expected: `at most ${MAX_BYTES} bytes`,
      actual: `${offset}`,
    });
  output.setUint16(pe + COFF.sections, image.sections.length + added.length, true);
  for (const field of [COFF.time, COFF.symbols, COFF.symbolCount])
    output.setUint32(pe + field, 0, true);
  output.setUint32(optional + OPTIONAL.initializedData, before + initialized, true);
  output.setUint32(optional + OPTIONAL.sizeOfImage, align(address, sectionAlignment), true);
  output.setUint32(optional + OPTIONAL.sizeOfHeaders, sizeOfHeaders, true);
  output.setUint32(optional + OPTIONAL.checksum, 0, true); // optional for EFI programs
  return { head, sections, sizeBytes: offset };
}

type Stub = Awaited<ReturnType<typeof readPeImage>>;

function checkStub(bytes: Uint8Array, image: Stub, machine: number): void {
  if (image.machine !== machine)
    throw new ToolError('uki-build.architecture', {
      expected: `a stub for machine 0x${machine.toString(16)}`,
      actual: `0x${image.machine.toString(16)}`,
    });
  const has = image.sections.find(({ name }) => UKI_SECTIONS.has(name));
  if (has !== undefined) throw new ToolError('stub.has-sections', { actual: has.name });
  if (image.sections.length === 0) unsupported('a stub with sections', 'none');
  const magic = viewOf(bytes).getUint16(viewOf(bytes).getUint32(60, true) + 24, true);
  if (magic !== 0x20b) unsupported('PE32+', 'PE32');
  if (image.certificates.size > 0) unsupported('a stub that is not signed', 'a signature');
  // Behind the sections only a symbol table may stand, which is left out.
  const trailing = bytes.length - image.endOfSections;
  const symbols = viewOf(bytes).getUint32(viewOf(bytes).getUint32(60, true) + COFF.symbols, true);
  if (trailing > 0 && !(symbols >= image.endOfSections && symbols < bytes.length))
    unsupported('nothing behind the sections', `${trailing} bytes`);
}

function writeSectionHeader(
  head: Uint8Array,
  at: number,
  { name, sizeBytes }: NewSection,
  address: number,
  rawBytes: number,
  offset: number,
): void {
  const bytes = asciiBytes(name);
  if (bytes.length > 8) throw new TypeError(`${name} is longer than a section's name`);
  head.set(bytes, at);
  const view = viewOf(head);
  for (const [i, value] of [sizeBytes, address, rawBytes, offset].entries())
    view.setUint32(at + 8 + 4 * i, value, true);
  view.setUint32(at + 36, CHARACTERISTICS, true);
}

function isAlignment(value: number): boolean {
  return value >= 8 && value <= 2 ** 20 && (value & (value - 1)) === 0;
}

const align = (value: number, to: number): number => Math.ceil(value / to) * to;

function unsupported(expected: string, actual: string): never {
  throw new ToolError('stub.unsupported', { expected, actual });
}
