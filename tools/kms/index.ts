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
export type { AttestedPlatform } from './manifest-sets.js';
export { checkKeyPolicy, type PolicyCheckOptions, type PolicyFinding } from './policy-check.js';
export {
  type KeyPolicy,
  type PolicyConditions,
  type PolicyPrincipal,
  type PolicyStatement,
  parseKeyPolicy,
} from './policy-document.js';
export {
  keyPolicyStatements,
  mergeStatements,
  type PolicyStatementOptions,
  type PolicyStatements,
} from './policy-statements.js';
