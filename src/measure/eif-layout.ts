import { ByteReader } from '../bytes/byte-reader.js';
import { asciiBytes, equalBytes } from '../bytes/bytes.js';
import { reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES, type MeasurementCode } from '../result/measurement-codes.js';
import { type ByteSource, readExactly } from './byte-source.js';

/**
 * Sizes and numbers of the Enclave Image Format, version 4 (specification of
 * aws-nitro-enclaves-image-format, 2024-06-21). Integers are big-endian.
 */
export const EIF = {
  version: 4,
  /** `.eif`, read as a number. */
  magic: 0x2e656966,
  headerBytes: 548,
  sectionHeaderBytes: 12,
  maxSections: 32,
  minSections: 2,
  /** Where the header's CRC stands: its last four bytes. */
  crcOffset: 544,
  /** Bit 0 of the header's flags. */
  flagAarch64: 1,
} as const;

/** Kinds of sections by their number in the file. */
export const EIF_SECTION_TYPES = {
  1: 'kernel',
  2: 'cmdline',
  3: 'ramdisk',
  4: 'signature',
  5: 'metadata',
} as const;

/** A kind of section, e.g. `kernel`. */
export type EifSectionType = (typeof EIF_SECTION_TYPES)[keyof typeof EIF_SECTION_TYPES];

/** For which processors an image is. */
export type EifArchitecture = 'x86_64' | 'aarch64';

/** One section; its header of 12 bytes stands before `dataOffset`. */
export interface EifSection {
  readonly type: EifSectionType;
  /** Where its data starts in the file. */
  readonly dataOffset: number;
  readonly sizeBytes: number;
}

/** What the headers of an EIF say, checked for consistency. */
export interface EifLayout {
  readonly version: 4;
  readonly architecture: EifArchitecture;
  readonly defaultMemoryBytes: number;
  readonly defaultCpus: number;
  readonly sizeBytes: number;
  /** The CRC-32 that the header states. */
  readonly statedCrc32: number;
  /** In file order. */
  readonly sections: readonly EifSection[];
}

/** Sections that are read as a whole, and what they may have at most, in bytes. */
export const EIF_MAX_SECTION_BYTES: Readonly<Partial<Record<EifSectionType, number>>> = {
  cmdline: 64 * 1024,
  metadata: 1024 * 1024,
  signature: 64 * 1024,
};

const CODES = {
  truncated: MEASUREMENT_CODES['eif.truncated'],
  trailing: MEASUREMENT_CODES['eif.truncated'],
};

/**
 * Reads and checks the header and every section header: the table and the section headers must say
 * the same, sections follow each other without gap or overlap up to the end of the file.
 * Throws `eif.*`; checks neither the CRC nor what the sections hold.
 */
export async function readEifLayout(source: ByteSource): Promise<EifLayout> {
  const magic = await source.read(0, 4);
  if (!equalBytes(magic, asciiBytes('.eif')))
    fail('eif.not-eif', 'a file that starts with .eif', `one of ${source.size} bytes`);
  const bytes = await readExactly(source, 0, EIF.headerBytes, 'EIF header', CODES.truncated);
  const reader = new ByteReader(bytes, 'EIF header', CODES);
  reader.u32('magic');
  const version = reader.u16('version');
  if (version !== EIF.version) fail('eif.version-unsupported', '4', `${version}`);
  const flags = reader.u16('flags');
  if (flags > EIF.flagAarch64) fail('eif.header-invalid', 'flags 0 or 1', `${flags}`);
  const defaultMemoryBytes = safe(reader.u64('default_mem'), 'default_mem');
  const defaultCpus = safe(reader.u64('default_cpus'), 'default_cpus');
  reader.u16('reserved');
  const count = reader.u16('num_sections');
  if (count < EIF.minSections || count > EIF.maxSections)
    fail('eif.section-count', `${EIF.minSections} to ${EIF.maxSections} sections`, `${count}`);
  const offsets = readTable(reader, 'section_offsets', count);
  const sizes = readTable(reader, 'section_sizes', count);
  reader.u32('unused');
  const statedCrc32 = reader.u32('crc32');
  const sections = await readSections(source, offsets, sizes);
  checkSections(sections);
  return {
    version,
    architecture: flags === EIF.flagAarch64 ? 'aarch64' : 'x86_64',
    defaultMemoryBytes,
    defaultCpus,
    sizeBytes: source.size,
    statedCrc32,
    sections,
  };
}

/** The used entries; the others must be zero, or another reader would find sections there. */
function readTable(reader: ByteReader, field: string, count: number): number[] {
  const all = Array.from({ length: EIF.maxSections }, (_, i) =>
    safe(reader.u64(`${field}[${i}]`), `${field}[${i}]`),
  );
  const stray = all.findIndex((value, i) => i >= count && value !== 0);
  if (stray >= 0)
    fail('eif.header-invalid', `${field}[${stray}] zero, as it is not used`, `${all[stray]}`);
  return all.slice(0, count);
}

async function readSections(
  source: ByteSource,
  offsets: readonly number[],
  sizes: readonly number[],
): Promise<EifSection[]> {
  const sections: EifSection[] = [];
  let end: number = EIF.headerBytes;
  for (const [i, offset] of offsets.entries()) {
    const where = `section ${i}`;
    if (offset < end) fail('eif.section-overlap', `${where} at ${end}`, `${offset}`);
    if (offset > end) fail('eif.section-gap', `${where} at ${end}`, `${offset}`);
    const header = await readExactly(
      ...([source, offset, EIF.sectionHeaderBytes, `header of ${where}`, CODES.truncated] as const),
    );
    const reader = new ByteReader(header, where, CODES);
    const number = reader.u16('type');
    const flags = reader.u16('flags');
    const sizeBytes = safe(reader.u64('size'), `${where} size`);
    const type = EIF_SECTION_TYPES[number as keyof typeof EIF_SECTION_TYPES];
    if (type === undefined) fail('eif.section-type', `${where} of type 1 to 5`, `${number}`);
    if (flags !== 0) fail('eif.section-type', `${where} with flags 0`, `${flags}`);
    const size = sizes[i] as number;
    if (size !== sizeBytes)
      fail(
        'eif.section-size',
        `${where} (${type}) of ${size} bytes as in the table`,
        `${sizeBytes}`,
      );
    const dataOffset = offset + EIF.sectionHeaderBytes;
    const left = source.size - dataOffset;
    if (size > left) fail('eif.truncated', `${where} (${type}) of ${size} bytes`, `${left} left`);
    const max = EIF_MAX_SECTION_BYTES[type];
    if (max !== undefined && size > max)
      fail('eif.limit-exceeded', `${type} of at most ${max} bytes`, `${size}`);
    sections.push({ type, dataOffset, sizeBytes });
    end = dataOffset + size;
  }
  if (end !== source.size)
    fail('eif.section-gap', `the end of the file at ${end}`, `${source.size - end} more bytes`);
  return sections;
}

/** Exactly one kernel, command line and metadata; at most one signature; ramdisks after the kernel. */
function checkSections(sections: readonly EifSection[]): void {
  for (const type of ['kernel', 'cmdline', 'metadata', 'signature'] as const) {
    const count = sections.filter((section) => section.type === type).length;
    if (count > 1) fail('eif.section-duplicate', `one ${type}`, `${count}`);
    if (count === 0 && type !== 'signature') fail('eif.section-missing', `one ${type}`, 'none');
  }
  const types = sections.map(({ type }) => type);
  const ramdisk = types.indexOf('ramdisk');
  if (ramdisk >= 0 && ramdisk < types.indexOf('kernel'))
    fail('eif.section-order', 'ramdisks after the kernel', `section ${ramdisk} is a ramdisk`);
}

function safe(value: bigint, field: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    fail('eif.header-invalid', `${field} below 2^53`, `${value}`);
  return Number(value);
}

function fail(code: MeasurementCode & `eif.${string}`, expected: string, actual: string): never {
  reject(MEASUREMENT_CODES[code], expected, actual);
}
