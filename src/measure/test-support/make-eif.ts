import { ByteWriter } from '../../bytes/byte-writer.js';
import { asciiBytes } from '../../bytes/bytes.js';
import { crc32 } from '../crc32.js';

/** A section as the specification numbers it: 1 kernel … 5 metadata. */
export type SectionPlan = readonly [type: number, data: Uint8Array];

/** Deliberate faults of `makeEif`. */
export interface EifPlan {
  readonly magic?: string;
  readonly version?: number;
  readonly flags?: number;
  readonly count?: number;
  readonly defaultMemory?: bigint;
  readonly sectionFlags?: number;
  /** Changes the table's offsets and sizes (32 each). */
  readonly table?: (offsets: bigint[], sizes: bigint[]) => void;
  /** Changes the sizes in the section headers. */
  readonly headerSize?: (size: bigint, index: number) => bigint;
  readonly trailing?: Uint8Array;
  readonly crc?: number;
}

/** kernel "K", command line "C", metadata "{}", two ramdisks. */
export const SMALL: readonly SectionPlan[] = [
  [1, asciiBytes('kernel')],
  [2, asciiBytes('reboot=k')],
  [5, asciiBytes('{"ImageName":"x"}')],
  [3, asciiBytes('ramdisk one')],
  [3, asciiBytes('ramdisk two')],
];

/** An EIF written field by field after the specification, right unless the plan says otherwise. */
export function makeEif(sections: readonly SectionPlan[] = SMALL, plan: EifPlan = {}): Uint8Array {
  const offsets = new Array<bigint>(32).fill(0n);
  const sizes = new Array<bigint>(32).fill(0n);
  let end = 548;
  for (const [i, [, data]] of sections.entries()) {
    offsets[i] = BigInt(end);
    sizes[i] = BigInt(data.length);
    end += 12 + data.length;
  }
  plan.table?.(offsets, sizes);
  const header = new ByteWriter()
    .bytes(asciiBytes(plan.magic ?? '.eif'))
    .u16(plan.version ?? 4)
    .u16(plan.flags ?? 0)
    .u64(plan.defaultMemory ?? 1024n ** 3n)
    .u64(2n)
    .u16(0)
    .u16(plan.count ?? sections.length);
  for (const value of [...offsets, ...sizes].slice(0, 64)) header.u64(value);
  header.u32(0);
  const body = new ByteWriter();
  for (const [i, [type, data]] of sections.entries()) {
    const size = BigInt(data.length);
    body.u16(type).u16(plan.sectionFlags ?? 0);
    body.u64(plan.headerSize?.(size, i) ?? size).bytes(data);
  }
  body.bytes(plan.trailing ?? new Uint8Array());
  const [head, rest] = [header.finish(), body.finish()];
  return new ByteWriter()
    .bytes(head)
    .u32(plan.crc ?? crc32(rest, crc32(head)))
    .bytes(rest)
    .finish();
}
