import { asciiBytes, concatBytes } from '../../bytes/bytes.js';

/** A section to put into a PE image; fields left out follow from the order. */
export interface SectionPlan {
  readonly name: string;
  readonly data?: Uint8Array;
  readonly virtualSize?: number;
  readonly virtualAddress?: number;
  readonly rawSize?: number;
  readonly rawOffset?: number;
}

/** Deliberate faults and variants of `makePe`. */
export interface PePlan {
  readonly pe32?: boolean;
  readonly certificates?: Uint8Array;
  readonly trailing?: Uint8Array;
  readonly sizeOfHeaders?: number;
  readonly sizeOfImage?: number;
  readonly directories?: number;
  readonly sectionCount?: number;
  /** Room for the headers. */
  readonly headerBytes?: number;
  /** Address and size of the base relocation table. */
  readonly relocations?: readonly [virtualAddress: number, size: number];
  /** Changes the finished bytes. */
  readonly patch?: (bytes: Uint8Array, view: DataView) => void;
}

const FILE_ALIGNMENT = 512;
const HEADERS = 2048;
/** Where the fields of images made here stand. */
export const PE_OFFSETS = { pe: 64, optional: 88, checksum: 152 } as const;

/** Where the entry of the certificate table stands. */
export const certificateEntry = (pe32 = false): number => PE_OFFSETS.optional + (pe32 ? 128 : 144);

/** A PE image with these sections. */
export function makePe(sections: readonly SectionPlan[], plan: PePlan = {}): Uint8Array {
  const headerBytes = plan.headerBytes ?? HEADERS;
  const header = new Uint8Array(headerBytes);
  const view = new DataView(header.buffer);
  const optionalBytes = plan.pe32 ? 224 : 240;
  header.set(asciiBytes('MZ'));
  view.setUint32(60, PE_OFFSETS.pe, true);
  header.set(asciiBytes('PE\0\0'), PE_OFFSETS.pe);
  view.setUint16(68, plan.pe32 ? 0x14c : 0x8664, true);
  view.setUint16(70, plan.sectionCount ?? sections.length, true);
  view.setUint16(84, optionalBytes, true);
  view.setUint16(PE_OFFSETS.optional, plan.pe32 ? 0x10b : 0x20b, true);
  view.setUint32(PE_OFFSETS.optional + 60, plan.sizeOfHeaders ?? headerBytes, true);
  view.setUint32(PE_OFFSETS.optional + (plan.pe32 ? 92 : 108), plan.directories ?? 16, true);
  const parts: Uint8Array[] = [header];
  let address = 4096;
  let offset = headerBytes;
  for (const [i, section] of sections.entries()) {
    const { name, data = new Uint8Array(), virtualSize = data.length } = section;
    const padded = Math.ceil(data.length / FILE_ALIGNMENT) * FILE_ALIGNMENT;
    const at = PE_OFFSETS.optional + optionalBytes + i * 40;
    header.set(asciiBytes(name.slice(0, 8)), at);
    view.setUint32(at + 8, virtualSize, true);
    view.setUint32(at + 12, section.virtualAddress ?? address, true);
    view.setUint32(at + 16, section.rawSize ?? padded, true);
    view.setUint32(at + 20, section.rawOffset ?? offset, true);
    parts.push(data, new Uint8Array(padded - data.length));
    address += Math.ceil((Math.max(virtualSize, padded) + 1) / 4096) * 4096;
    offset += padded;
  }
  view.setUint32(PE_OFFSETS.optional + 56, plan.sizeOfImage ?? address, true);
  if (plan.relocations) {
    view.setUint32(certificateEntry(plan.pe32) + 8, plan.relocations[0], true);
    view.setUint32(certificateEntry(plan.pe32) + 12, plan.relocations[1], true);
  }
  if (plan.trailing) parts.push(plan.trailing);
  if (plan.certificates) {
    view.setUint32(certificateEntry(plan.pe32), offset + (plan.trailing?.length ?? 0), true);
    view.setUint32(certificateEntry(plan.pe32) + 4, plan.certificates.length, true);
    parts.push(plan.certificates);
  }
  const bytes = concatBytes(...parts);
  plan.patch?.(bytes, new DataView(bytes.buffer));
  return bytes;
}

/** The sections of a small UKI whose kernel is a PE image. */
export function ukiSections(
  version: string | undefined = '252.39-1~deb12u2',
  changes: Readonly<Record<string, Uint8Array | undefined>> = {},
): SectionPlan[] {
  const sections: Record<string, Uint8Array | undefined> = {
    '.text': new Uint8Array(700).fill(0x90),
    '.sdmagic': asciiBytes(`#### LoaderInfo: systemd-stub ${version} ####\0`),
    '.osrel': asciiBytes('ID=test\nVERSION_ID="1"\n'),
    '.cmdline': asciiBytes('console=ttyS0 quiet'),
    '.linux': makePe([{ name: '.text', data: new Uint8Array(3000).fill(0xcc) }]),
    '.initrd': new Uint8Array(5001).fill(0x17),
    ...changes,
  };
  return Object.entries(sections).flatMap(([name, data]) => (data ? [{ name, data }] : []));
}

/** An EFI signature list with entries of one type. */
export function makeSignatureList(
  typeGuid: Uint8Array,
  owner: Uint8Array,
  entries: readonly Uint8Array[],
): Uint8Array {
  const size = 16 + (entries[0]?.length ?? 0);
  const header = new Uint8Array(28);
  const view = new DataView(header.buffer);
  header.set(typeGuid);
  view.setUint32(16, 28 + size * entries.length, true);
  view.setUint32(24, size, true);
  return concatBytes(header, ...entries.flatMap((entry) => [owner, entry]));
}

/** One element of DER. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...contents);
  const { length } = body;
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concatBytes(Uint8Array.from([tag, ...size]), body);
}

/** Something shaped like a certificate, with a common name; nobody signed it. */
export function makeCertificate(commonName: string): Uint8Array {
  const nothing = der(0x30);
  const name = der(
    0x30,
    der(0x31, der(0x30, der(0x06, Uint8Array.of(0x55, 4, 3)), der(0x0c, asciiBytes(commonName)))),
  );
  const tbs = der(0x30, der(0x02, Uint8Array.of(1)), nothing, nothing, nothing, name);
  return der(0x30, tbs, nothing, der(0x03, Uint8Array.of(0, 1, 2)));
}

/** A certificate table with one Authenticode signature that carries these certificates. */
export function makeCertificateTable(certificates: readonly Uint8Array[]): Uint8Array {
  const signedDataOid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
  const signed = der(
    0x30,
    der(0x02, Uint8Array.of(1)),
    der(0x31),
    der(0x30),
    der(0xa0, ...certificates),
    der(0x31),
  );
  const blob = der(0x30, der(0x06, Uint8Array.from(signedDataOid)), der(0xa0, signed));
  const table = new Uint8Array(Math.ceil((8 + blob.length) / 8) * 8);
  const view = new DataView(table.buffer);
  view.setUint32(0, 8 + blob.length, true);
  view.setUint16(4, 0x0200, true);
  view.setUint16(6, 0x0002, true);
  table.set(blob, 8);
  return table;
}
