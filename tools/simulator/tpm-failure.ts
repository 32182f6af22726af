/** Ends a command of the simulated TPM with a response code. Never leaves the simulator. */
export class TpmFailure extends Error {
  override readonly name = 'TpmFailure';
  readonly responseCode: number;

  constructor(responseCode: number) {
    super(`response code 0x${responseCode.toString(16)}`);
    this.responseCode = responseCode;
  }
}

/** Throws a `TpmFailure`. */
export function fail(responseCode: number): never {
  throw new TpmFailure(responseCode);
}
