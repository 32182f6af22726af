/** tee-verify: decides whether an EC2 instance or a Nitro Enclave may be trusted. */
export { createFallbackProvider, createNobleProvider } from './crypto/choose-provider.js';
export type {
  CryptoProvider,
  HashAlgorithm,
  SignatureAlgorithm,
  SyncCrypto,
} from './crypto/provider.js';
export { createWebCryptoProvider } from './crypto/webcrypto-provider.js';
export type { EvidenceInput } from './evidence.js';
export { inspectAttestation } from './inspect-attestation.js';
export type { ManifestInput } from './manifest/parse-manifest.js';
export type { ManifestKey, ManifestKeys, ManifestSigners } from './manifest/signed-manifest.js';
export type { VerifyOptions } from './options.js';
export type { VerifiedClaims } from './proven-claims.js';
export type { Appraisal, PcrComparison, SetComparison } from './result/appraisal.js';
export { AttestationError, type ErrorDetails } from './result/attestation-error.js';
export type { BindingCode } from './result/binding-codes.js';
export type { CertificateClaims, Claims, QuoteClaims } from './result/claims.js';
export type { ClientCode } from './result/client-codes.js';
export {
  CODES,
  type Code,
  type CodeFacts,
  isCode,
  type Step,
  type VerificationCode,
} from './result/codes.js';
export type { EventLogFindings, PcrExplanation } from './result/event-log-report.js';
export type { ManifestReport, ManifestTrustSource } from './result/manifest-report.js';
export type { MeasurementCode } from './result/measurement-codes.js';
export type { Report, StepResult, StepState, Verdict } from './result/report.js';
export type { ResultCode } from './result/result-codes.js';
export type { SignedManifestCode } from './result/signed-manifest-codes.js';
export type { VerificationTime } from './result/verification-time.js';
export { verifyAttestation } from './verify-attestation.js';
export { verifyAttestationSync } from './verify-attestation-sync.js';
export { ChainMemory } from './x509/chain-memory.js';
export { AWS_NITRO_ROOT_G1_SHA256, type TrustAnchor } from './x509/trust-anchors.js';
