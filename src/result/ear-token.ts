import type { Claims } from './claims.js';
import type { Code } from './codes.js';
import type { ManifestReport } from './manifest-report.js';
import type { Verdict } from './report.js';
import type { TrustTier, TrustVector } from './trust-vector.js';

/** `eat_profile` of draft-ietf-rats-ear-04. */
export const EAR_PROFILE = 'tag:ietf.org,2026:rats/ear#04';
/** `typ` of the header (RFC 9782, 3). */
export const RESULT_TYP = 'eat+jwt';
/** The attester's name under `submods`. */
export const SUBMODULE = 'nitro';

/** The claims about the attester, from evidence: only what was proven. */
export type AttesterClaims = Omit<Claims, 'certificates' | 'nonce'>;

/** What the verifier adds. */
export interface VerifierClaims {
  readonly verdict: Verdict;
  /** Why it was rejected. */
  readonly code?: Code;
  /** The nonce that was compared with an expected one and found equal, hex. */
  readonly verified_nonce?: string;
  readonly manifest?: ManifestReport;
  readonly manifest_name?: string;
  readonly image_version?: string;
  /** The label of the measurement set that matched. */
  readonly measurement_set?: string;
}

/** The payload of a token (docs/result.md). */
export interface EarPayload {
  readonly eat_profile: string;
  /** NumericDate, seconds. */
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
  readonly iss?: string;
  readonly aud: string | readonly string[];
  readonly eat_nonce?: string;
  readonly ear_verifier_id: { readonly developer: string; readonly build: string };
  readonly submods: Readonly<Record<string, EarAppraisal>>;
}

/** One appraisal of a token. */
export interface EarAppraisal {
  readonly ear_status: TrustTier;
  readonly ear_trustworthiness_vector: TrustVector;
  /** The manifest as named information (RFC 6920). */
  readonly ear_appraisal_policy_ids?: readonly string[];
  readonly ear_attester_claims?: AttesterClaims;
  readonly ear_verifier_claims: VerifierClaims;
}
