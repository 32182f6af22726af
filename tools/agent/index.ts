/** Making attestations on a NitroTPM, as a library: `tee-tools/agent`. */
export { TOOL_CODES, type ToolArea, type ToolCode, type ToolCodeFacts } from '../common/codes.js';
export { ToolError, type ToolErrorDetails } from '../common/tool-error.js';
export { type Attestation, type AttestOptions, attest } from './attest.js';
export type { AttestationBundle } from './bundle.js';
export { type OwnPcrsOptions, readOwnPcrs } from './own-pcrs.js';
export { openDeviceTransport } from './transport/device-transport.js';
export { openTransport, parseTpmAddress, type TpmAddress } from './transport/open-transport.js';
export { openSocketTransport, type SocketAddress } from './transport/socket-transport.js';
export type { ExchangeOptions, TpmTransport } from './transport/tpm-transport.js';
