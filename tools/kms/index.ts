/** Calls of AWS KMS whose answers only an attested machine can read, and key policies: `tee-tools/kms`. */
export { TOOL_CODES, type ToolArea, type ToolCode, type ToolCodeFacts } from '../common/codes.js';
export { ToolError, type ToolErrorDetails } from '../common/tool-error.js';
export { attestWithNitroTpm, type NitroTpmOptions } from './attest-with-nitrotpm.js';
export {
  type AttestedCallOptions,
  type AttestedDataKey,
  type DecryptedSecret,
  decryptAttested,
  generateDataKeyAttested,
  generateRandomAttested,
} from './attested-calls.js';
export { type Attester, createRecipient, type Recipient } from './create-recipient.js';
