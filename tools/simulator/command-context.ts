import type { Bytes } from 'tee-verify/bytes';
import type { ParameterReader } from './parameter-reader.js';
import type { SimulatedNsm } from './simulated-nsm.js';
import type { TpmState } from './tpm-state.js';

/** What a command of the simulated TPM gets. */
export interface CommandContext {
  readonly state: TpmState;
  readonly nsm: SimulatedNsm;
  readonly handles: readonly number[];
  readonly parameters: ParameterReader;
  readonly locality: number;
}

/** What it returns. */
export interface CommandAnswer {
  readonly handle?: number;
  readonly parameters?: Bytes;
}

/** A command of the simulated TPM. */
export interface SimulatedCommand {
  readonly code: number;
  /** How many handles stand in front of the parameters. */
  readonly handles: number;
  /** How many of them, from the first on, need authorisation. */
  readonly authorised: number;
  readonly run: (context: CommandContext) => CommandAnswer | Promise<CommandAnswer>;
}
