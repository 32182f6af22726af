/** Goes on with a CRC-32 (ISO-HDLC) from the value so far; starts at 0. zlib.crc32 of Node fits. */
export type Crc32 = (data: Uint8Array, value: number) => number;

/** x^32 + x^26 + … + 1, bits reversed. */
const POLYNOMIAL = 0xedb88320;
const SLICES = 8;

/** Tables for eight bytes a step; built at first use. */
let tables: readonly Uint32Array[] | undefined;

/** CRC-32 (ISO-HDLC, as in zlib and Ethernet) of `data`, going on from `value` (0 to start). */
export function crc32(data: Uint8Array, value = 0): number {
  tables ??= makeTables();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    ...[Uint32Array, Uint32Array, Uint32Array, Uint32Array],
    ...[Uint32Array, Uint32Array, Uint32Array, Uint32Array],
  ];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let crc = ~value;
  let i = 0;
  for (; i + SLICES <= data.length; i += SLICES) {
    const low = crc ^ view.getUint32(i, true);
    const high = view.getUint32(i + 4, true);
    crc =
      (t7[low & 0xff] as number) ^
      (t6[(low >>> 8) & 0xff] as number) ^
      (t5[(low >>> 16) & 0xff] as number) ^
      (t4[low >>> 24] as number) ^
      (t3[high & 0xff] as number) ^
      (t2[(high >>> 8) & 0xff] as number) ^
      (t1[(high >>> 16) & 0xff] as number) ^
      (t0[high >>> 24] as number);
  }
  for (; i < data.length; i++)
    crc = (crc >>> 8) ^ (t0[(crc ^ (data[i] as number)) & 0xff] as number);
  return ~crc >>> 0;
}

/**
 * The CRC-32 of two byte strings one after the other, from the CRC of each and the length of the
 * second: so that a header can be written last though its CRC comes first.
 */
export function combineCrc32(first: number, second: number, secondBytes: number): number {
  // Appending a zero byte is a linear map of the 32 bits; squaring it doubles how many it appends.
  let map = appendZeroByte();
  let crc = first;
  for (let left = secondBytes; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) crc = apply(map, crc);
    const square = map;
    map = map.map((column) => apply(square, column));
  }
  return (crc ^ second) >>> 0;
}

/** Columns of the map: what becomes of each single bit. */
function appendZeroByte(): readonly number[] {
  return Array.from({ length: 32 }, (_, bit) => {
    let crc = (1 << bit) >>> 0;
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    return crc >>> 0;
  });
}

function apply(map: readonly number[], crc: number): number {
  let result = 0;
  for (let bit = 0, rest = crc; rest !== 0; bit++, rest >>>= 1)
    if (rest & 1) result ^= map[bit] as number;
  return result >>> 0;
}

function makeTables(): readonly Uint32Array[] {
  const made = Array.from({ length: SLICES }, () => new Uint32Array(256));
  const [first] = made as [Uint32Array];
  for (let i = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    first[i] = crc;
  }
  for (let slice = 1; slice < SLICES; slice++) {
    const [table, before] = [made[slice] as Uint32Array, made[slice - 1] as Uint32Array];
    for (let i = 0; i < 256; i++) {
      const crc = before[i] as number;
      table[i] = (crc >>> 8) ^ (first[crc & 0xff] as number);
    }
  }
  return made;
}
