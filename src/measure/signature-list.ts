import { ByteReader } from '../bytes/byte-reader.js';
import { reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { formatGuid } from './guid.js';

/** The largest signature list that is read; a UEFI variable store is smaller than this. */
export const MAX_SIGNATURE_LIST_BYTES: number = 1024 * 1024;
const MAX_ENTRIES = 16_384;
const CODES = {
  truncated: MEASUREMENT_CODES['esl.truncated'],
  trailing: MEASUREMENT_CODES['esl.malformed'],
} as const;

/** Signature types (UEFI 2.10, 32.4.1), by GUID. Sizes are of the data without the owner. */
const TYPES: Readonly<Record<string, { type: SignatureType; bytes?: number }>> = {
  'a5c059a1-94e4-4aa7-87b5-ab155c2bf072': { type: 'x509' },
  'c1c41626-504c-4092-aca9-41f936934328': { type: 'sha256', bytes: 32 },
  'ff3e5307-9fd0-48c9-85f1-8ad56c701e01': { type: 'sha384', bytes: 48 },
  '093e0fae-a6c4-4f50-9f1b-d41e2b89c19a': { type: 'sha512', bytes: 64 },
  '826ca512-cf10-4ac9-b187-be01496631bd': { type: 'sha1', bytes: 20 },
  '3c5766e8-269c-4e34-aa14-ed776e85b3b6': { type: 'rsa2048', bytes: 256 },
  '3bd2a492-96c0-4079-b420-fcf98ef103ed': { type: 'x509-sha256', bytes: 48 },
  '7076876e-80c2-4ee6-aad2-28b349a6865b': { type: 'x509-sha384', bytes: 64 },
  '446dbf63-2502-4cda-bcfa-2465d2b0fe9d': { type: 'x509-sha512', bytes: 80 },
};

/** What an entry of a signature list holds: a certificate, the hash of an image, or another thing. */
export type SignatureType =
  | 'x509'
  | 'sha1'
  | 'sha256'
  | 'sha384'
  | 'sha512'
  | 'rsa2048'
  | 'x509-sha256'
  | 'x509-sha384'
  | 'x509-sha512'
  | 'unknown';

/** One EFI_SIGNATURE_DATA. */
export interface SignatureEntry {
  readonly type: SignatureType;
  /** The type's GUID as text. */
  readonly typeGuid: string;
  /** The owner's GUID as text. */
  readonly owner: string;
  /** The certificate's DER, or the digest. */
  readonly data: Uint8Array;
  /** Owner and data as they stand: what PCR7's authority event measures. */
  readonly encoded: Uint8Array;
}

/** Views made when they are asked for: a list may have thousands of entries that nobody looks at. */
class Entry implements SignatureEntry {
  readonly type: SignatureType;
  readonly typeGuid: string;
  readonly encoded: Uint8Array;

  constructor(type: SignatureType, typeGuid: string, encoded: Uint8Array) {
    this.type = type;
    this.typeGuid = typeGuid;
    this.encoded = encoded;
  }

  get owner(): string {
    return formatGuid(this.encoded.subarray(0, 16));
  }

  get data(): Uint8Array {
    return this.encoded.subarray(16);
  }
}

/**
 * Reads a chain of EFI_SIGNATURE_LISTs, the contents of PK, KEK, db and dbx (UEFI 2.10, 32.4.1).
 * Empty bytes are an empty list. Views into the input, not copies.
 *
 * Throws `esl.too-large`, `esl.truncated`, `esl.malformed`, `esl.limit-exceeded`.
 */
export function parseSignatureList(bytes: Uint8Array): SignatureEntry[] {
  if (bytes.length > MAX_SIGNATURE_LIST_BYTES)
    reject(
      MEASUREMENT_CODES['esl.too-large'],
      `at most ${MAX_SIGNATURE_LIST_BYTES} bytes`,
      `${bytes.length} bytes`,
    );
  const reader = new ByteReader(bytes, 'EFI_SIGNATURE_LIST', CODES, 'little');
  const entries: SignatureEntry[] = [];
  while (reader.left > 0) {
    const typeGuid = formatGuid(reader.take(16, 'SignatureType'));
    const listSize = reader.u32('SignatureListSize');
    const headerSize = reader.u32('SignatureHeaderSize');
    const entrySize = reader.u32('SignatureSize');
    const known = TYPES[typeGuid];
    if (entrySize <= 16 || (known?.bytes !== undefined && entrySize !== 16 + known.bytes))
      reader.fail(
        MEASUREMENT_CODES['esl.malformed'],
        'SignatureSize',
        known?.bytes === undefined ? 'more than 16' : `${16 + known.bytes} for ${known.type}`,
        `${entrySize}`,
      );
    // All types that exist have an empty header.
    if (headerSize !== 0)
      reader.fail(MEASUREMENT_CODES['esl.malformed'], 'SignatureHeaderSize', '0', `${headerSize}`);
    const payload = listSize - 28;
    if (payload < 0 || payload % entrySize !== 0)
      reader.fail(
        MEASUREMENT_CODES['esl.malformed'],
        'SignatureListSize',
        `28 plus a multiple of ${entrySize}`,
        `${listSize}`,
      );
    const contents = reader.take(payload, 'entries');
    if (entries.length + payload / entrySize > MAX_ENTRIES)
      reader.fail(
        MEASUREMENT_CODES['esl.limit-exceeded'],
        'entries',
        `at most ${MAX_ENTRIES}`,
        'more',
      );
    for (let at = 0; at < payload; at += entrySize) {
      const encoded = contents.subarray(at, at + entrySize);
      entries.push(new Entry(known?.type ?? 'unknown', typeGuid, encoded));
    }
  }
  return entries;
}
