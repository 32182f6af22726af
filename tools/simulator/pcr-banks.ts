import { type Bytes, copyBytes } from 'tee-verify/bytes';
import { DIGEST_SIZES, PCR_COUNT } from '../agent/tpm/constants.js';
import { tpmHash } from '../agent/tpm/names.js';
import type { PcrSelection } from '../agent/tpm/pcr-selection.js';
import { TPM_RC } from '../agent/tpm/response-code.js';
import { fail } from './tpm-failure.js';

/** Localities 0 to 4 as a bit mask. */
interface PcrRule {
  readonly reset: number;
  readonly extend: number;
}

// PC Client Platform TPM Profile 1.05, 4.6: who may reset and who may extend which PCR.
const STATIC: PcrRule = { reset: 0x00, extend: 0x1f };
const RULES: readonly PcrRule[] = [
  ...Array.from({ length: 16 }, () => STATIC),
  { reset: 0x0f, extend: 0x1f },
  { reset: 0x10, extend: 0x1c },
  { reset: 0x10, extend: 0x1c },
  { reset: 0x10, extend: 0x0c },
  { reset: 0x14, extend: 0x0e },
  { reset: 0x14, extend: 0x04 },
  { reset: 0x14, extend: 0x04 },
  { reset: 0x0f, extend: 0x1f },
];

/** PCRs whose changes do not count (TPM_PT_PCR_NO_INCREMENT). */
const UNCOUNTED: readonly number[] = [16, 21, 22, 23];

/** The PCRs of all banks of a simulated TPM, with the rules of the PC Client profile. */
export class PcrBanks {
  /** TPM_ALGs of the banks, in the order in which the TPM lists them. */
  readonly algorithms: readonly number[];
  readonly #values = new Map<number, Bytes[]>();
  #updateCounter = 0;

  constructor(algorithms: readonly number[]) {
    this.algorithms = [...algorithms];
    this.startUp();
  }

  get updateCounter(): number {
    return this.#updateCounter;
  }

  /** As after power-on: zero, but all ones in the PCRs of a dynamic launch (17 to 22). */
  startUp(): void {
    for (const algorithm of this.algorithms)
      this.#values.set(
        algorithm,
        Array.from({ length: PCR_COUNT }, (_, index) =>
          new Uint8Array(DIGEST_SIZES[algorithm] as number).fill(
            index >= 17 && index <= 22 ? 0xff : 0,
          ),
        ),
      );
    this.#updateCounter = 0;
  }

  /** A copy of a value, or undefined when there is no such bank or PCR. */
  read(algorithm: number, index: number): Bytes | undefined {
    const value = this.#values.get(algorithm)?.[index];
    return value === undefined ? undefined : copyBytes(value);
  }

  /** Puts a value in place without asking anybody: how a test sets the stage. */
  set(algorithm: number, index: number, value: Uint8Array): void {
    const bank = this.#values.get(algorithm);
    if (bank !== undefined) bank[index] = copyBytes(value);
    this.#count(index);
  }

  /** PCR = H(PCR || digest) in each bank that is there; others are ignored. */
  extend(index: number, digests: ReadonlyMap<number, Uint8Array>, locality: number): void {
    if (((RULES[index] as PcrRule).extend & (1 << locality)) === 0) fail(TPM_RC.LOCALITY);
    for (const [algorithm, digest] of digests) {
      const bank = this.#values.get(algorithm);
      if (bank === undefined) continue;
      bank[index] = tpmHash(algorithm, bank[index] as Bytes, digest);
      this.#count(index);
    }
  }

  /** Back to zero in all banks. */
  reset(index: number, locality: number): void {
    if (((RULES[index] as PcrRule).reset & (1 << locality)) === 0) fail(TPM_RC.LOCALITY);
    for (const bank of this.#values.values()) (bank[index] as Bytes).fill(0);
    this.#count(index);
  }

  /** What of a selection is there: PCRs of banks that are not allocated drop out. */
  filter(selections: readonly PcrSelection[]): PcrSelection[] {
    return selections.map(({ hashAlgorithm, indices }) => ({
      hashAlgorithm,
      indices: this.#values.has(hashAlgorithm) ? indices.filter((index) => index < PCR_COUNT) : [],
    }));
  }

  /** H over the selected values in order (Part 1, 17.5). */
  digest(hashAlgorithm: number, selections: readonly PcrSelection[]): Bytes {
    const values = selections.flatMap((selection) =>
      selection.indices.map((index) => this.read(selection.hashAlgorithm, index) as Bytes),
    );
    return tpmHash(hashAlgorithm, ...values);
  }

  #count(index: number): void {
    if (!UNCOUNTED.includes(index)) this.#updateCounter++;
  }
}
