import { createHash } from 'node:crypto';

/** PCR index → value. */
export type Pcrs = ReadonlyMap<number, Uint8Array>;

export const sha384 = (data: Uint8Array | string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(createHash('sha384').update(data).digest());

export const ZERO_PCR: Uint8Array = new Uint8Array(48);

/** PCR7 of a machine whose Secure Boot is off (no variables set): the same everywhere. */
export const SECURE_BOOT_OFF_PCR7: Uint8Array = secureBootOffPcr7();

/** PCRs as a NitroTPM shows them: 24, those of DRTM all ones, PCR12 zero. `image` picks the image. */
export function nitroTpmPcrs(image = 'sample image'): Map<number, Uint8Array> {
  const pcrs = new Map<number, Uint8Array>();
  for (let index = 0; index < 24; index++) {
    if (index <= 11 && index !== 10) pcrs.set(index, sha384(`${image}: PCR${index}`));
    else if (index >= 17 && index <= 22) pcrs.set(index, new Uint8Array(48).fill(0xff));
    else pcrs.set(index, ZERO_PCR);
  }
  return pcrs;
}

/** PCRs as an enclave shows them: 16, those that are not used zero. */
export function enclavePcrs(image = 'sample image'): Map<number, Uint8Array> {
  const pcrs = new Map<number, Uint8Array>();
  for (let index = 0; index < 16; index++)
    pcrs.set(index, index <= 4 ? sha384(`${image}: enclave PCR${index}`) : ZERO_PCR);
  return pcrs;
}

/** A copy with some values replaced, or removed where undefined. */
export function withPcrs(
  pcrs: Pcrs,
  changes: Readonly<Record<number, Uint8Array | undefined>>,
): Map<number, Uint8Array> {
  const copy = new Map(pcrs);
  for (const [index, value] of Object.entries(changes))
    if (value === undefined) copy.delete(Number(index));
    else copy.set(Number(index), value);
  return copy;
}

/** UEFI: SecureBoot = 0, PK, KEK, db and dbx absent, then a separator. */
function secureBootOffPcr7(): Uint8Array {
  const GLOBAL = Buffer.from('61dfe48bca93d211aa0d00e098032b8c', 'hex');
  const SECURITY = Buffer.from('cbb219d73a3d9645a3bcdad00e67656f', 'hex');
  const variable = (guid: Buffer, name: string, data: number[]): Buffer => {
    const lengths = Buffer.alloc(16);
    lengths.writeBigUInt64LE(BigInt(name.length), 0);
    lengths.writeBigUInt64LE(BigInt(data.length), 8);
    return Buffer.concat([guid, lengths, Buffer.from(name, 'utf16le'), Buffer.from(data)]);
  };
  const events = [
    variable(GLOBAL, 'SecureBoot', [0]),
    variable(GLOBAL, 'PK', []),
    variable(GLOBAL, 'KEK', []),
    variable(SECURITY, 'db', []),
    variable(SECURITY, 'dbx', []),
    Buffer.alloc(4),
  ];
  let pcr: Uint8Array = ZERO_PCR;
  for (const event of events) pcr = sha384(Buffer.concat([pcr, sha384(event)]));
  return pcr;
}
