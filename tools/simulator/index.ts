/** A NitroTPM in software, for tests and demos: `tee-tools/simulator`. */
export { ToolError } from '../common/tool-error.js';
export { bootFromManifest, replayBoot } from './boot-state.js';
export { type Fault, type FaultKind, parseFault } from './faults.js';
export {
  createNitroPki,
  type NitroDocumentFields,
  type NitroPki,
  type NitroPkiOptions,
} from './nitro-pki.js';
export type { NsmErrorName } from './simulated-nsm.js';
export { type ListeningSimulator, type ListenOptions, listen } from './socket-server.js';
export {
  createSimulator,
  DEFAULT_LIMITS,
  type SimulatedAnswer,
  type SimulatorInventory,
  type SimulatorOptions,
  type TpmSimulator,
} from './tpm-simulator.js';
export type { TpmLimits } from './tpm-state.js';
