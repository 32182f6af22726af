import { ByteReader } from 'tee-verify/bytes';
import { inParameter, TPM_RC } from '../agent/tpm/response-code.js';
import { fail, TpmFailure } from './tpm-failure.js';

const CODES = { truncated: 'quote.malformed', trailing: 'quote.malformed' } as const;

/** Reads a command's parameters one by one; what cannot be read names its number. */
export class ParameterReader {
  readonly #reader: ByteReader;
  #number = 0;

  constructor(bytes: Uint8Array) {
    this.#reader = new ByteReader(bytes, 'parameters', CODES);
  }

  /** The next parameter; `code` (default TPM_RC_SIZE) when it is not well-formed. */
  next<T>(read: (reader: ByteReader) => T, code: number = TPM_RC.SIZE): T {
    this.#number++;
    try {
      return read(this.#reader);
    } catch (error) {
      if (error instanceof TpmFailure) throw error;
      if (!(error instanceof Error) || error.name !== 'AttestationError') throw error;
      // Too few bytes are one thing, a size above the field's limit another.
      const { expected = '' } = error as { expected?: string };
      return this.fail(/: \d+ bytes$/.test(expected) ? TPM_RC.INSUFFICIENT : code);
    }
  }

  /** Ends the command with a code about the parameter just read, or the one with this number. */
  fail(code: number, number: number = this.#number): never {
    return fail(inParameter(code, number));
  }

  /** Nothing may follow the last parameter. */
  end(): void {
    if (this.#reader.left > 0) fail(TPM_RC.SIZE);
  }
}
