/**
 * tee-verify for pages, workers and service workers: the verifier, a client that asks an attestation
 * endpoint, and the attested key for what follows. Importing it runs nothing, so it is safe on a
 * server that renders pages, too.
 */
export {
  AttestationError,
  AWS_NITRO_ROOT_G1_SHA256,
  type CertificateClaims,
  ChainMemory,
  type Claims,
  CODES,
  type Code,
  type CryptoProvider,
  type ErrorDetails,
  type EvidenceInput,
  inspectAttestation,
  type ManifestInput,
  type ManifestKeys,
  type Report,
  type Step,
  type StepResult,
  type StepState,
  type TrustAnchor,
  type Verdict,
  type VerifiedClaims,
  type VerifyOptions,
  verifyAttestation,
} from '../src/index.js';
export {
  type KeyPlace,
  type PresentedKey,
  readAttestedKey,
  requireAttestedKey,
} from './attested-key.js';
export { type FetchOptions, fetchAndVerify } from './fetch-and-verify.js';
export type { AttestedKey } from './public-key.js';
