import { ByteReader } from '../bytes/byte-reader.js';
import { reject } from '../result/attestation-error.js';
import { ATTEST_NAMES, TPM } from './constants.js';

/** One TPMS_PCR_SELECTION: a bank and its selected indices, ascending. */
export interface PcrSelection {
  /** TPM_ALG_ID of the bank. */
  readonly hash: number;
  readonly indices: readonly number[];
}

/** A TPMS_ATTEST of type quote (TPM 2.0 Library, Part 2, 10.12.12). */
export interface QuoteInfo {
  /** Qualified name of the key that signed. */
  readonly qualifiedSigner: Uint8Array;
  /** qualifyingData of TPM2_Quote: the nonce. */
  readonly extraData: Uint8Array;
  /** Milliseconds the TPM has been powered since its last clear. */
  readonly clockMs: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  /** Whether the clock certainly did not go backwards. */
  readonly safe: boolean;
  readonly firmwareVersion: bigint;
  readonly selections: readonly PcrSelection[];
  readonly pcrDigest: Uint8Array;
}

const CODES = { truncated: 'quote.malformed', trailing: 'quote.malformed' } as const;
/** TPM2B_NAME: algorithm id and the largest digest. */
const MAX_NAME_BYTES = 66;
/** TPM2B_DATA holds a digest and its algorithm id. */
const MAX_EXTRA_BYTES = 66;
const MAX_DIGEST_BYTES = 64;
const MAX_SELECTIONS = 16;
/** 32 PCRs; PC Client TPMs write 3 bytes. */
const MAX_BITMAP_BYTES = 4;

/**
 * Reads TPMS_ATTEST (itself, not TPM2B_ATTEST) and demands a quote. Throws
 * `quote.not-tpm-generated`, `quote.not-a-quote`, `quote.malformed`.
 */
export function parseQuote(bytes: Uint8Array): QuoteInfo {
  const reader = new ByteReader(bytes, 'TPMS_ATTEST', CODES);
  const magic = reader.u32('magic');
  if (magic !== TPM.GENERATED)
    reject('quote.not-tpm-generated', 'magic ff544347', magic.toString(16).padStart(8, '0'));
  const type = reader.u16('type');
  if (type !== TPM.ST_ATTEST_QUOTE)
    reject(
      'quote.not-a-quote',
      '0x8018 (TPM2_Quote)',
      `0x${type.toString(16)} (${ATTEST_NAMES.get(type) ?? 'unknown'})`,
    );
  const qualifiedSigner = reader.sized16('qualifiedSigner', MAX_NAME_BYTES);
  const extraData = reader.sized16('extraData', MAX_EXTRA_BYTES);
  const clockMs = reader.u64('clock');
  const resetCount = reader.u32('resetCount');
  const restartCount = reader.u32('restartCount');
  const safe = reader.u8('safe');
  // TPMI_YES_NO (9.2) is 0 or 1.
  if (safe > 1) reader.fail('quote.malformed', 'safe', '0 or 1', `${safe}`);
  const firmwareVersion = reader.u64('firmwareVersion');
  const selections = readSelections(reader);
  const pcrDigest = reader.sized16('pcrDigest', MAX_DIGEST_BYTES);
  reader.end();
  return {
    qualifiedSigner,
    extraData,
    clockMs,
    resetCount,
    restartCount,
    safe: safe === 1,
    firmwareVersion,
    selections,
    pcrDigest,
  };
}

/** TPML_PCR_SELECTION (10.9.7): bit i of byte i/8 selects PCR i. */
function readSelections(reader: ByteReader): readonly PcrSelection[] {
  const count = reader.u32('pcrSelect count');
  if (count > MAX_SELECTIONS)
    reader.fail('quote.malformed', 'pcrSelect count', `at most ${MAX_SELECTIONS}`, `${count}`);
  const selections: PcrSelection[] = [];
  for (let i = 0; i < count; i++) {
    const hash = reader.u16('pcrSelect hash');
    const size = reader.u8('sizeofSelect');
    if (size > MAX_BITMAP_BYTES)
      reader.fail('quote.malformed', 'sizeofSelect', `at most ${MAX_BITMAP_BYTES}`, `${size}`);
    const bitmap = reader.take(size, 'pcrSelect');
    const indices: number[] = [];
    for (let index = 0; index < size * 8; index++)
      if ((bitmap[index >> 3] as number) & (1 << (index & 7))) indices.push(index);
    selections.push({ hash, indices });
  }
  return selections;
}
