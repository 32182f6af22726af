import type { HashAlgorithm } from '../crypto/provider.js';

/** A PCR bank, by the name of its hash algorithm as TPM tools write it. */
export type BankName = 'sha1' | 'sha256' | 'sha384' | 'sha512' | 'sm3_256';

/** What is known of one PCR bank. */
export interface BankAlgorithm {
  readonly bank: BankName;
  /** TPM_ALG_ID (TCG Algorithm Registry, 6.3). */
  readonly tpmAlgorithm: number;
  readonly digestBytes: number;
  /** Undefined for SM3: its digests are read, but not recomputed. */
  readonly hash: HashAlgorithm | undefined;
}

/** Every bank that a log may declare. */
export const BANK_ALGORITHMS: readonly BankAlgorithm[] = [
  { bank: 'sha1', tpmAlgorithm: 0x0004, digestBytes: 20, hash: 'SHA-1' },
  { bank: 'sha256', tpmAlgorithm: 0x000b, digestBytes: 32, hash: 'SHA-256' },
  { bank: 'sha384', tpmAlgorithm: 0x000c, digestBytes: 48, hash: 'SHA-384' },
  { bank: 'sha512', tpmAlgorithm: 0x000d, digestBytes: 64, hash: 'SHA-512' },
  { bank: 'sm3_256', tpmAlgorithm: 0x0012, digestBytes: 32, hash: undefined },
];
