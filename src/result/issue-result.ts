import { encodeBase64Url, encodeTextBase64Url } from '../bytes/base64-encode.js';
import type { Bytes } from '../bytes/bytes.js';
import { decodeHex } from '../bytes/hex.js';
import { compactJws, signJws } from '../manifest/sign-jws.js';
import { AttestationError, reject } from './attestation-error.js';
import type { Step } from './codes.js';
import {
  type AttesterClaims,
  EAR_PROFILE,
  type EarPayload,
  RESULT_TYP,
  SUBMODULE,
  type VerifierClaims,
} from './ear-token.js';
import type { Report } from './report.js';
import { RESULT_CODES } from './result-codes.js';
import type { Signer } from './signer.js';
import { statusOf, trustVector } from './trust-vector.js';

/** What `issueResult` is told. */
export interface IssueOptions {
  /** Who may rely on the result: a name that the service behind expects, or several. */
  readonly audience: string | readonly string[];
  /** How long it may be relied upon; default 300, at most a day. */
  readonly lifetimeSeconds?: number;
  /** The verifier's name (`iss`). */
  readonly issuer?: string;
  /** `ear_verifier_id`. */
  readonly verifierId?: { readonly developer: string; readonly build: string };
  /** The time of issue; default the clock. */
  readonly now?: Date;
}

const DEFAULT_LIFETIME_SECONDS = 300;
const MAX_LIFETIME_SECONDS = 86_400;
/** A report is issued upon at once: an older one says nothing about now. */
const MAX_REPORT_AGE_MS = 300_000;
const MIN_EAT_NONCE_BYTES = 8;
const MAX_EAT_NONCE_BYTES = 64;
const DEFAULT_VERIFIER_ID = { developer: 'tee-verify', build: 'tee-verify' };
const NONCE_CHECK = 'nonce equals the expected one';

/** What must have passed for a yes. */
const NEEDED: readonly Step[] = [
  ...(['evidence', 'manifest', 'cbor', 'document', 'x509', 'cose', 'bundle'] as const),
  ...(['freshness', 'pcr'] as const),
];

/**
 * Issues an attestation result: an EAR (draft-ietf-rats-ear-04) as a JWT with an AR4SI trust vector,
 * the proven claims, the manifest's hash and, when it was compared, the nonce (docs/result.md).
 *
 * Only a report whose verdict is `verified` can give an affirming token; a rejected one gives a
 * contraindicated token without claims, an unappraised one a token with status `none`. It ends with
 * the validity of a signed manifest at the latest.
 *
 * Throws `result.report-contradictory`, `result.report-not-current`, `result.signer-failed`.
 */
export async function issueResult(
  report: Report,
  signer: Signer,
  options: IssueOptions,
): Promise<string> {
  // Everything is read before the first await: later changes to the report do not matter.
  const payload = resultPayload(report, options);
  const payload64 = encodeTextBase64Url(JSON.stringify(payload));
  try {
    return compactJws(await signJws(payload64, { typ: RESULT_TYP }, signer));
  } catch (cause) {
    throw new AttestationError(RESULT_CODES['result.signer-failed'], { cause });
  }
}

function resultPayload(report: Report, options: IssueOptions): EarPayload {
  const { audience, lifetimeSeconds = DEFAULT_LIFETIME_SECONDS, now = new Date() } = options;
  const audiences = typeof audience === 'string' ? [audience] : audience;
  if (!Array.isArray(audiences) || audiences.length === 0 || !audiences.every(isText))
    throw new TypeError('audience must be a text, or a list of texts');
  if (!(lifetimeSeconds >= 1 && lifetimeSeconds <= MAX_LIFETIME_SECONDS))
    throw new TypeError(`lifetimeSeconds must be a number of 1 to ${MAX_LIFETIME_SECONDS}`);
  const nowMs = now.getTime();
  if (!Number.isFinite(nowMs)) throw new TypeError('now must be a valid Date');
  checkConsistency(report);
  if (report.verdict !== 'rejected') checkCurrent(report, nowMs);

  const issuedAt = Math.floor(nowMs / 1000);
  const vector = trustVector(report);
  const status = statusOf(report, vector);
  const nonce = report.verdict === 'rejected' ? undefined : verifiedNonce(report);
  const fits =
    nonce !== undefined &&
    nonce.length >= MIN_EAT_NONCE_BYTES &&
    nonce.length <= MAX_EAT_NONCE_BYTES;
  const claims = attesterClaims(report);
  const policy = report.verdict === 'rejected' ? undefined : report.manifest?.sha256;
  return {
    eat_profile: EAR_PROFILE,
    iat: issuedAt,
    exp: Math.min(issuedAt + Math.floor(lifetimeSeconds), manifestEnd(report)),
    jti: encodeBase64Url(globalThis.crypto.getRandomValues(new Uint8Array(16))),
    ...(options.issuer !== undefined && { iss: options.issuer }),
    aud: audiences.length === 1 ? (audiences[0] as string) : [...audiences],
    ...(fits && { eat_nonce: encodeBase64Url(nonce) }),
    ear_verifier_id: options.verifierId ?? DEFAULT_VERIFIER_ID,
    submods: {
      [SUBMODULE]: {
        ear_status: status,
        ear_trustworthiness_vector: vector,
        ...(policy !== undefined && {
          ear_appraisal_policy_ids: [
            `ni:///sha-256;${encodeBase64Url(decodeHex(policy) as Bytes)}`,
          ],
        }),
        ...(claims !== undefined && { ear_attester_claims: claims }),
        ear_verifier_claims: verifierClaims(report, nonce),
      },
    },
  };
}

/** A verdict that its own steps do not bear out is no verdict of ours. */
function checkConsistency(report: Report): void {
  const { verdict, code, claims, appraisal, manifest, steps } = report;
  const stateOf = (wanted: Step): string | undefined =>
    steps?.find(({ step }) => step === wanted)?.state;
  const failed = steps?.some(({ state, code: stepCode }) => state === 'failed' || stepCode);
  const contradiction = !Array.isArray(steps)
    ? 'no steps'
    : verdict === 'rejected'
      ? code === undefined && 'rejected without a code'
      : verdict !== 'verified' && verdict !== 'unappraised'
        ? `verdict ${String(verdict).slice(0, 32)}`
        : failed || code !== undefined
          ? `${verdict}, but a step failed`
          : claims === undefined || stateOf('x509') !== 'passed' || stateOf('cose') !== 'passed'
            ? `${verdict}, but nothing is proven`
            : claims.quote !== undefined && stateOf('quote') !== 'passed'
              ? 'a quote that was not verified'
              : verdict === 'verified' &&
                (NEEDED.some((step) => stateOf(step) !== 'passed') ||
                  manifest === undefined ||
                  appraisal?.matches !== true ||
                  appraisal.pcrs.length === 0 ||
                  appraisal.pcrs.some(({ matches }) => !matches)) &&
                'verified, but not every step passed';
  if (contradiction !== false)
    reject(
      RESULT_CODES['result.report-contradictory'],
      'a report as inspectAttestation or verifyAttestation gives it',
      contradiction,
    );
}

function checkCurrent({ time }: Report, nowMs: number): void {
  if (
    time !== undefined &&
    time.source !== 'document' &&
    Math.abs(nowMs - time.nowMs) <= MAX_REPORT_AGE_MS
  )
    return;
  reject(
    RESULT_CODES['result.report-not-current'],
    `judged within ${MAX_REPORT_AGE_MS / 1000} s of ${new Date(nowMs).toISOString()}`,
    time === undefined
      ? 'no time'
      : time.source === 'document'
        ? 'judged at the document\u2019s own time'
        : `judged at ${new Date(time.nowMs).toISOString()}`,
  );
}

/** The nonce of the document, when the caller expected this very one. */
function verifiedNonce({ claims, steps }: Report): Bytes | undefined {
  const isChecked = steps.some(
    ({ step, state, checks }) =>
      step === 'freshness' && state === 'passed' && checks.includes(NONCE_CHECK),
  );
  return isChecked && claims?.nonce !== undefined ? decodeHex(claims.nonce) : undefined;
}

function attesterClaims({ verdict, claims }: Report): AttesterClaims | undefined {
  if (verdict === 'rejected' || claims === undefined) return undefined;
  const { certificates: _, nonce: __, ...rest } = claims;
  return rest;
}

function verifierClaims(report: Report, nonce: Bytes | undefined): VerifierClaims {
  const { verdict, code, appraisal, manifest, claims } = report;
  if (verdict === 'rejected') return { verdict, ...(code !== undefined && { code }) };
  return {
    verdict,
    ...(nonce !== undefined && { verified_nonce: claims?.nonce as string }),
    ...(manifest !== undefined && { manifest }),
    ...(appraisal?.manifestName !== undefined && { manifest_name: appraisal.manifestName }),
    ...(appraisal?.imageVersion !== undefined && { image_version: appraisal.imageVersion }),
    ...(appraisal !== undefined && { measurement_set: appraisal.label }),
  };
}

/** When the signature of the manifest ends, seconds. */
function manifestEnd({ manifest }: Report): number {
  const trust = manifest?.trust;
  return trust?.source === 'signature' && trust.notAfterMs !== undefined
    ? Math.floor(trust.notAfterMs / 1000)
    : Number.POSITIVE_INFINITY;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
