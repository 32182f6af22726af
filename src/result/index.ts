/** Attestation results and challenges: `tee-verify/result`. */
export { createSigner, type SignerOptions } from '../manifest/create-signer.js';
export {
  type ChallengeStore,
  createMemoryChallengeStore,
  type UsedChallenge,
} from './challenge-store.js';
export {
  type Challenge,
  type Challenges,
  type ChallengesOptions,
  createChallenges,
} from './challenges.js';
export { type AttesterClaims, EAR_PROFILE, RESULT_TYP, type VerifierClaims } from './ear-token.js';
export { type IssueOptions, issueResult } from './issue-result.js';
export type { ManifestReport, ManifestTrustSource } from './manifest-report.js';
export { RESULT_CODES, type ResultCode } from './result-codes.js';
export type { JwsAlgorithm, Signer } from './signer.js';
export type { TrustTier, TrustVector } from './trust-vector.js';
export {
  type AttestationResult,
  type ResultExpectations,
  type ResultKeys,
  verifyResult,
} from './verify-result.js';
