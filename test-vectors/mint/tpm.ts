import { createHash } from 'node:crypto';
import { ByteWriter } from '../../src/bytes/byte-writer.js';
import { concatBytes } from '../../src/bytes/bytes.js';
import { generateKeys, publicPoint, rawToDer, signRaw } from './ecdsa.js';
import { nitroTpmPcrs, type Pcrs } from './pcrs.js';

/** Identifiers of TPM 2.0 Library, Part 2, as far as quotes and keys need them. */
export const TPM = {
  MAGIC: 0xff544347,
  ST_ATTEST_CERTIFY: 0x8017,
  ST_ATTEST_QUOTE: 0x8018,
  SHA1: 0x0004,
  SHA256: 0x000b,
  SHA384: 0x000c,
  ECC: 0x0023,
  RSA: 0x0001,
  ECDSA: 0x0018,
  NULL: 0x0010,
  P256: 0x0003,
} as const;

/** TPMA_OBJECT bits (Part 2, 8.3). */
export const ATTRIBUTE = {
  fixedTPM: 0x2,
  fixedParent: 0x10,
  sensitiveDataOrigin: 0x20,
  userWithAuth: 0x40,
  restricted: 0x10000,
  decrypt: 0x20000,
  sign: 0x40000,
} as const;

/** What an attestation key has. */
export const AK_ATTRIBUTES: number =
  ATTRIBUTE.fixedTPM |
  ATTRIBUTE.fixedParent |
  ATTRIBUTE.sensitiveDataOrigin |
  ATTRIBUTE.userWithAuth |
  ATTRIBUTE.restricted |
  ATTRIBUTE.sign;

/** An attestation key, software this time. */
export interface MintAk {
  readonly keys: CryptoKeyPair;
  /** 04 || x || y, 65 bytes. */
  readonly point: Uint8Array<ArrayBuffer>;
}

export async function mintAk(): Promise<MintAk> {
  const keys = await generateKeys('P-256');
  return { keys, point: await publicPoint(keys) };
}

/** One TPMS_PCR_SELECTION: a bank and its bitmap. */
export interface PcrSelection {
  readonly hash: number;
  readonly bitmap: Uint8Array;
}

/** Bitmap of PCR indexes, three bytes unless told otherwise. */
export function pcrBitmap(indexes: Iterable<number>, size = 3): Uint8Array {
  const bitmap = new Uint8Array(size);
  for (const index of indexes)
    bitmap[index >> 3] = (bitmap[index >> 3] as number) | (1 << (index & 7));
  return bitmap;
}

/** What to quote, and at most one thing to break. */
export interface QuoteOverrides {
  readonly ak?: MintAk;
  /** extraData; default: 32 bytes of 0x5a. */
  readonly nonce?: Uint8Array;
  readonly pcrs?: Pcrs;
  readonly selections?: readonly PcrSelection[];
  readonly digest?: Uint8Array;
  readonly magic?: number;
  readonly type?: number;
  /** Changes TPMS_ATTEST before it is signed. */
  readonly attest?: (attest: Uint8Array) => Uint8Array;
  readonly signWith?: CryptoKey;
  readonly hash?: 'SHA-256' | 'SHA-384';
  readonly until?: (signature: Uint8Array) => boolean;
  /** Changes r || s. */
  readonly rawSignature?: (signature: Uint8Array) => Uint8Array;
  /** Changes the DER signature. */
  readonly signature?: (signature: Uint8Array) => Uint8Array;
}

/** A quote: TPMS_ATTEST and its DER signature. */
export interface MintedQuote {
  readonly attestData: Uint8Array;
  readonly signature: Uint8Array;
  readonly ak: MintAk;
}

export const sha256 = (data: Uint8Array): Uint8Array<ArrayBuffer> =>
  new Uint8Array(createHash('sha256').update(data).digest());

/** TPM2_Quote as a NitroTPM's AK would answer it. */
export async function mintQuote(overrides: QuoteOverrides = {}): Promise<MintedQuote> {
  const ak = overrides.ak ?? (await mintAk());
  const pcrs = overrides.pcrs ?? nitroTpmPcrs();
  const selections = overrides.selections ?? [{ hash: TPM.SHA384, bitmap: pcrBitmap(pcrs.keys()) }];
  const written = writeAttest({
    magic: overrides.magic ?? TPM.MAGIC,
    type: overrides.type ?? TPM.ST_ATTEST_QUOTE,
    nonce: overrides.nonce ?? new Uint8Array(32).fill(0x5a),
    selections,
    digest: overrides.digest ?? pcrDigest(pcrs, selections),
  });
  const attestData = overrides.attest?.(written) ?? written;
  const key = overrides.signWith ?? ak.keys.privateKey;
  let raw: Uint8Array;
  do raw = await signRaw(key, attestData, overrides.hash ?? 'SHA-256');
  while (overrides.until !== undefined && !overrides.until(raw));
  const der = rawToDer(overrides.rawSignature?.(raw) ?? raw);
  return { attestData, signature: overrides.signature?.(der) ?? der, ak };
}

/** SHA-256 over the selected values, selection by selection, index ascending. */
export function pcrDigest(pcrs: Pcrs, selections: readonly PcrSelection[]): Uint8Array {
  const values: Uint8Array[] = [];
  for (const { bitmap } of selections)
    for (let index = 0; index < bitmap.length * 8; index++)
      if (((bitmap[index >> 3] as number) >> (index & 7)) & 1)
        values.push(pcrs.get(index) ?? new Uint8Array(48));
  return sha256(concatBytes(...values));
}

interface AttestFields {
  readonly magic: number;
  readonly type: number;
  readonly nonce: Uint8Array;
  readonly selections: readonly PcrSelection[];
  readonly digest: Uint8Array;
}

/** TPMS_ATTEST with TPMS_QUOTE_INFO (Part 2, 10.12). */
export function writeAttest(fields: AttestFields): Uint8Array {
  const writer = new ByteWriter()
    .u32(fields.magic)
    .u16(fields.type)
    .sized16(concatBytes(Uint8Array.of(0x00, 0x0b), sha256(new Uint8Array([1, 2, 3])))) // a Name
    .sized16(fields.nonce)
    .u64(123_456n) // clock
    .u32(1) // resetCount
    .u32(0) // restartCount
    .u8(1) // safe
    .u64(0x2019_1023_0016_3636n) // firmwareVersion
    .u32(fields.selections.length);
  for (const { hash, bitmap } of fields.selections)
    writer.u16(hash).u8(bitmap.length).bytes(bitmap);
  return writer.sized16(fields.digest).finish();
}

/** What to put into a TPMT_PUBLIC. */
export interface TpmtPublicOverrides {
  readonly type?: number;
  readonly attributes?: number;
  readonly curve?: number;
}

/** TPMT_PUBLIC of an ECC signing key with ECDSA/SHA-256 (Part 2, 12.2.4). */
export function writeTpmtPublic(ak: MintAk, overrides: TpmtPublicOverrides = {}): Uint8Array {
  return new ByteWriter()
    .u16(overrides.type ?? TPM.ECC)
    .u16(TPM.SHA256) // nameAlg
    .u32(overrides.attributes ?? AK_ATTRIBUTES)
    .u16(0) // authPolicy
    .u16(TPM.NULL) // symmetric
    .u16(TPM.ECDSA)
    .u16(TPM.SHA256)
    .u16(overrides.curve ?? TPM.P256)
    .u16(TPM.NULL) // kdf
    .sized16(ak.point.subarray(1, 33))
    .sized16(ak.point.subarray(33))
    .finish();
}
