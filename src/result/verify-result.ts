import { compactVerify, decodeProtectedHeader, type JWK } from 'jose';
import { decodeBase64 } from '../bytes/base64.js';
import { encodeBase64Url } from '../bytes/base64-encode.js';
import { asBytes, copyBytes } from '../bytes/bytes.js';
import { decodeHex, encodeHex } from '../bytes/hex.js';
import { jwsAlgorithm, type PublicKey, readPublicKeys } from '../manifest/public-keys.js';
import { AttestationError, type ErrorDetails } from './attestation-error.js';
import { type AttesterClaims, EAR_PROFILE, RESULT_TYP, type VerifierClaims } from './ear-token.js';
import { RESULT_CODES, type ResultCode } from './result-codes.js';
import { type TrustTier, type TrustVector, tierOf, worstTier } from './trust-vector.js';

/** Public keys of verifiers: JWKs or PEM, a JWK set, or one PEM text. */
export type ResultKeys = readonly (JWK | string)[] | { readonly keys: readonly JWK[] } | string;

/** What a service behind the verifier expects of a result. */
export interface ResultExpectations {
  /** This service's own name: the token must have been issued for it. */
  readonly audience: string;
  /** The verifier's name. */
  readonly issuer?: string;
  /** The nonce that the evidence had to answer: bytes, or hex text. */
  readonly nonce?: Uint8Array | string;
  /** SHA-256 of the manifest, hex. */
  readonly manifestSha256?: string;
  /** Which statuses are accepted; default only `affirming`. */
  readonly accept?: readonly TrustTier[];
  /** The time to judge at; default the clock. */
  readonly now?: Date;
  /** How far clocks may be apart; default 60. */
  readonly clockToleranceSeconds?: number;
}

/** A verified attestation result. */
export interface AttestationResult {
  readonly status: TrustTier;
  readonly trustVector: TrustVector;
  /** What was proven of the attester; undefined when it was rejected. */
  readonly attester: AttesterClaims | undefined;
  /** What the verifier says: verdict, code, manifest, measurement set, verified nonce. */
  readonly verifier: VerifierClaims;
  readonly audience: readonly string[];
  readonly issuer: string | undefined;
  readonly tokenId: string | undefined;
  /** Milliseconds since the epoch. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

const MAX_TOKEN_CHARACTERS = 65_536;
const MAX_SUBMODULES = 8;
const DEFAULT_CLOCK_TOLERANCE_SECONDS = 60;
const TIERS: readonly TrustTier[] = ['none', 'affirming', 'warning', 'contraindicated'];
const KNOWN: readonly string[] = [
  ...['audience', 'issuer', 'nonce', 'manifestSha256', 'accept', 'now', 'clockToleranceSeconds'],
];

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Verifies an attestation result (docs/result.md) for a service behind the verifier: signature by
 * one of the keys (ES256, ES384, EdDSA), type, profile, validity, audience, and whatever else is
 * expected. Resolves with the result, or rejects: by default for every status but `affirming`.
 *
 * Throws `result.malformed`, `result.algorithm-unsupported`, `result.type-unsupported`,
 * `result.signature-invalid`, `result.expired`, `result.not-yet-valid`, `result.audience-mismatch`,
 * `result.issuer-mismatch`, `result.nonce-mismatch`, `result.manifest-mismatch`,
 * `result.not-affirming`. TypeError for keys and expectations that cannot be used.
 */
export async function verifyResult(
  token: string,
  keys: ResultKeys,
  expectations: ResultExpectations,
): Promise<AttestationResult> {
  const expected = readExpectations(expectations);
  const given: unknown =
    typeof keys === 'string'
      ? [keys]
      : Array.isArray(keys)
        ? keys
        : (keys as { keys?: unknown })?.keys;
  if (!Array.isArray(given)) throw new TypeError('keys must be JWKs, a JWK set, or PEM');
  const publicKeys = await readPublicKeys('keys', structuredClone(given) as (JWK | string)[]);
  const payload = await verifySignature(token, publicKeys);
  return judge(payload, expected);
}

async function verifySignature(token: string, keys: readonly PublicKey[]): Promise<JsonObject> {
  if (typeof token !== 'string' || token.length > MAX_TOKEN_CHARACTERS)
    refuse('result.malformed', `text of at most ${MAX_TOKEN_CHARACTERS} characters`, typeof token);
  const text = token.trim();
  let header: JsonObject;
  try {
    // One spelling: other libraries, and lists of tokens that were seen, compare text.
    const parts = text.split('.');
    if (parts.length !== 3 || !parts.every(isCanonical)) throw new TypeError('not three parts');
    header = decodeProtectedHeader(text) as JsonObject;
  } catch (cause) {
    return refuse('result.malformed', 'a compact JWT', 'something else', cause);
  }
  const algorithm = jwsAlgorithm(header.alg);
  if (algorithm === undefined)
    return refuse('result.algorithm-unsupported', 'ES256, ES384 or EdDSA', show(header.alg));
  if (header.typ !== RESULT_TYP)
    return refuse('result.type-unsupported', `typ ${RESULT_TYP}`, show(header.typ));
  if (header.crit !== undefined)
    return refuse('result.type-unsupported', 'no critical headers', show(header.crit));
  const sameKind = keys.filter((key) => key.algorithm === algorithm);
  const named = sameKind.filter(({ keyId }) => keyId !== undefined && keyId === header.kid);
  let cause: unknown;
  for (const { key } of named.length > 0 ? named : sameKind) {
    let bytes: Uint8Array;
    try {
      bytes = (await compactVerify(text, key, { algorithms: [String(header.alg)] })).payload;
    } catch (error) {
      cause = error;
      continue;
    }
    return parsePayload(bytes);
  }
  return refuse(
    'result.signature-invalid',
    `a signature by one of ${sameKind.length} keys for ${algorithm}`,
    'none that verifies',
    cause,
  );
}

function isCanonical(part: string): boolean {
  const bytes = decodeBase64(part);
  return bytes !== undefined && encodeBase64Url(bytes) === part;
}

function parsePayload(bytes: Uint8Array): JsonObject {
  try {
    return object(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)), 'payload');
  } catch (cause) {
    if (cause instanceof AttestationError) throw cause;
    return refuse('result.malformed', 'a payload in JSON', 'something else', cause);
  }
}

function judge(payload: JsonObject, expected: Expected): AttestationResult {
  if (payload.eat_profile !== EAR_PROFILE)
    refuse('result.type-unsupported', `eat_profile ${EAR_PROFILE}`, show(payload.eat_profile));
  const { nowMs, toleranceMs } = expected;
  const [issuedAtMs, expiresAtMs] = [milliseconds(payload, 'iat'), milliseconds(payload, 'exp')];
  const notBeforeMs = payload.nbf === undefined ? issuedAtMs : milliseconds(payload, 'nbf');
  const now = new Date(nowMs).toISOString();
  if (nowMs >= expiresAtMs + toleranceMs)
    refuse('result.expired', `until ${iso(expiresAtMs)}`, now);
  for (const fromMs of [issuedAtMs, notBeforeMs])
    if (nowMs < fromMs - toleranceMs) refuse('result.not-yet-valid', `from ${iso(fromMs)}`, now);

  const audience = texts(payload.aud);
  if (!audience.includes(expected.audience))
    refuse('result.audience-mismatch', expected.audience, audience.join(', ') || 'none');
  const issuer = typeof payload.iss === 'string' ? payload.iss : undefined;
  if (expected.issuer !== undefined && issuer !== expected.issuer)
    refuse('result.issuer-mismatch', expected.issuer, issuer ?? 'none');

  const { status, vector, attester, verifier } = readAppraisal(payload);
  if (expected.nonceHex !== undefined && verifier.verified_nonce !== expected.nonceHex)
    refuse('result.nonce-mismatch', expected.nonceHex, show(verifier.verified_nonce));
  const manifest = verifier.manifest?.sha256;
  if (expected.manifestSha256 !== undefined && manifest !== expected.manifestSha256)
    refuse('result.manifest-mismatch', expected.manifestSha256, show(manifest));
  if (!expected.accept.includes(status))
    refuse(
      'result.not-affirming',
      expected.accept.join(' or '),
      `${status}, verdict ${show(verifier.verdict)}${verifier.code === undefined ? '' : `, code ${show(verifier.code)}`}`,
    );
  return {
    status,
    trustVector: vector,
    attester,
    verifier,
    audience,
    issuer,
    tokenId: typeof payload.jti === 'string' ? payload.jti : undefined,
    issuedAtMs,
    expiresAtMs,
  };
}

interface Appraised {
  readonly status: TrustTier;
  readonly vector: TrustVector;
  readonly attester: AttesterClaims | undefined;
  readonly verifier: VerifierClaims;
}

/** The one appraisal of a token; its status can only be worse than it says. */
function readAppraisal(payload: JsonObject): Appraised {
  const entries = Object.values(object(payload.submods, 'submods'));
  if (entries.length !== 1)
    refuse(
      'result.malformed',
      'one appraisal in submods',
      `${Math.min(entries.length, MAX_SUBMODULES)}`,
    );
  const appraisal = object(entries[0], 'submods.*');
  const said = TIERS.find((tier) => tier === appraisal.ear_status);
  if (said === undefined)
    return refuse('result.malformed', 'ear_status', show(appraisal.ear_status));
  const vector = object(appraisal.ear_trustworthiness_vector ?? {}, 'ear_trustworthiness_vector');
  const values = Object.values(vector);
  if (!values.every((value) => Number.isInteger(value)))
    refuse('result.malformed', 'whole numbers in ear_trustworthiness_vector', 'something else');
  const verifier = object(appraisal.ear_verifier_claims, 'ear_verifier_claims');
  const attester = appraisal.ear_attester_claims;
  const isYes = said === 'affirming';
  if (isYes && (verifier.verdict !== 'verified' || verifier.code !== undefined))
    refuse('result.not-affirming', 'verdict "verified"', show(verifier.verdict));
  return {
    status: worstTier([said, ...(said === 'none' ? [] : (values as number[]).map(tierOf))]),
    vector: vector as TrustVector,
    attester:
      attester === undefined
        ? undefined
        : (object(attester, 'ear_attester_claims') as unknown as AttesterClaims),
    verifier: verifier as unknown as VerifierClaims,
  };
}

interface Expected {
  readonly audience: string;
  readonly issuer: string | undefined;
  readonly nonceHex: string | undefined;
  readonly manifestSha256: string | undefined;
  readonly accept: readonly TrustTier[];
  readonly nowMs: number;
  readonly toleranceMs: number;
}

/** Reads the expectations once; a lost or misspelled one must not turn a check off: TypeError. */
function readExpectations(given: ResultExpectations): Expected {
  if (typeof given !== 'object' || given === null)
    throw new TypeError('verifyResult needs expectations: at least the audience');
  for (const key of Object.keys(given)) {
    if (!KNOWN.includes(key)) throw new TypeError(`unknown expectation ${key}`);
    if ((given as unknown as JsonObject)[key] === undefined)
      throw new TypeError(`${key} is undefined: leave it out`);
  }
  const {
    audience,
    issuer,
    nonce,
    manifestSha256,
    accept = ['affirming'],
    now = new Date(),
  } = given;
  const { clockToleranceSeconds = DEFAULT_CLOCK_TOLERANCE_SECONDS } = given;
  if (typeof audience !== 'string' || audience === '')
    throw new TypeError('audience must be the name of this service');
  if (issuer !== undefined && typeof issuer !== 'string')
    throw new TypeError('issuer must be text');
  const view = typeof nonce === 'string' ? undefined : asBytes(nonce);
  const bytes = typeof nonce === 'string' ? decodeHex(nonce) : view && copyBytes(view);
  if (nonce !== undefined && (bytes === undefined || bytes.length === 0))
    throw new TypeError('nonce must be bytes or hex text');
  const isSha256 = typeof manifestSha256 === 'string' && /^[0-9a-fA-F]{64}$/.test(manifestSha256);
  if (manifestSha256 !== undefined && !isSha256)
    throw new TypeError('manifestSha256 must be 64 hex digits');
  if (!Array.isArray(accept) || !accept.every((tier) => TIERS.includes(tier)))
    throw new TypeError(`accept must be a list of ${TIERS.join(', ')}`);
  if (!(now instanceof Date) || Number.isNaN(now.getTime()))
    throw new TypeError('now must be a valid Date');
  if (!(clockToleranceSeconds >= 0 && clockToleranceSeconds <= 3600))
    throw new TypeError('clockToleranceSeconds must be a number of 0 to 3600');
  return {
    audience,
    issuer,
    nonceHex: bytes && encodeHex(bytes),
    manifestSha256: manifestSha256?.toLowerCase(),
    accept: [...accept],
    nowMs: now.getTime(),
    toleranceMs: clockToleranceSeconds * 1000,
  };
}

/** NumericDate (RFC 7519, 2). */
function milliseconds(payload: JsonObject, name: 'iat' | 'exp' | 'nbf'): number {
  const value = payload[name];
  if (typeof value !== 'number' || !(value >= 0 && value <= 8_640_000_000_000))
    return refuse('result.malformed', `${name} as NumericDate`, show(value));
  return value * 1000;
}

function texts(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.filter((one): one is string => typeof one === 'string');
}

function object(value: unknown, where: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse('result.malformed', `${where} as object`, show(value));
  return value as JsonObject;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function show(value: unknown): string {
  if (value === undefined) return 'none';
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) ? 'a list' : 'an object';
  return String(value).slice(0, 128);
}

function refuse(code: ResultCode, expected: string, actual: string, cause?: unknown): never {
  const details: ErrorDetails = { expected, actual, ...(cause !== undefined && { cause }) };
  throw new AttestationError(RESULT_CODES[code], details);
}
