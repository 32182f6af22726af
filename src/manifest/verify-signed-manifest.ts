import { decodeProtectedHeader, flattenedVerify } from 'jose';
import type { Bytes } from '../bytes/bytes.js';
import { AttestationError } from '../result/attestation-error.js';
import type { CodeFacts } from '../result/codes.js';
import type { ManifestTrustSource } from '../result/manifest-report.js';
import { SIGNED_MANIFEST_CODES } from '../result/signed-manifest-codes.js';
import type { VerificationTime } from '../result/verification-time.js';
import { resolveTrustAnchors } from '../x509/trust-anchors.js';
import { demandPlainRules, readSigners } from './manifest-rules.js';
import { type JwsSignature, parseJws } from './parse-jws.js';
import { parseManifest } from './parse-manifest.js';
import { jwsAlgorithm, type PublicKey, readPublicKeys } from './public-keys.js';
import type { ReferenceManifest } from './reference-manifest.js';
import type { ManifestKeys, ManifestSigners } from './signed-manifest.js';
import { type CertifiedKey, verifySignerChain } from './signer-chain.js';

export { demandPlainRules };

/** `typ` of the JWS header, so that no token made for another purpose passes as a manifest. */
export const MANIFEST_TYP = 'tee-manifest+jws';

/** A manifest that enough signers signed. */
export interface SignedManifest {
  readonly manifest: ReferenceManifest;
  /** The bytes that were signed: the manifest itself, e.g. to pass on. */
  readonly payload: Bytes;
}

/** What a signature limits itself to. */
interface Limits {
  readonly notBeforeMs: number | undefined;
  readonly notAfterMs: number | undefined;
  readonly version: number | undefined;
}

interface Counted {
  readonly name: string;
  readonly limits: Limits;
}

const LIMITS = ['nbf', 'exp', 'manifest_version'] as const;

/**
 * Verifies a signed manifest (RFC 7515: compact, flattened or general JSON; ES256, ES384, EdDSA;
 * `typ` must be `tee-manifest+jws`) and reads it. As many different signers as the threshold says
 * must have signed it, each within the limits of its own header (`nbf`, `exp`) and with a version
 * (`manifest_version`) not below `minVersion`; other signatures do no harm.
 *
 * Throws `manifest.signature-invalid`, `manifest.threshold-not-met`, `manifest.expired`,
 * `manifest.not-yet-valid`, `manifest.version-too-old`, and what `parseManifest` throws. TypeError
 * for keys and rules that cannot be used.
 */
export async function verifySignedManifest(
  input: string | object,
  manifestKeys: ManifestKeys,
  time: VerificationTime = clock(),
): Promise<SignedManifest> {
  demandPlainRules(manifestKeys);
  const signers = readSigners(manifestKeys);
  // A root that cannot be read is a mistake, whoever signed.
  if (signers.anchors !== undefined) resolveTrustAnchors(signers.anchors);
  const keys = signers.keys.length === 0 ? [] : await readPublicKeys('manifestKeys', signers.keys);
  const { threshold } = signers;
  if (signers.anchors === undefined && new Set(keys.map((key) => key.thumbprint)).size < threshold)
    if (threshold > 1)
      throw new TypeError(`manifestKeys holds fewer than ${threshold} different usable keys`);

  const { payload: encoded, signatures } = parseJws(input);
  const counted: Counted[] = [];
  const seen = new Set<string>();
  const outside: { readonly error: AttestationError; readonly identities: readonly string[] }[] =
    [];
  let payload: Bytes | undefined;
  let cause: unknown;
  for (const signature of signatures) {
    try {
      const { bytes, key, header } = await verifyOne(encoded, signature, keys, signers, time);
      const identities = identitiesOf(key);
      if (identities.some((identity) => seen.has(identity))) continue;
      const name = 'subject' in key ? (key as CertifiedKey).subject : (key.keyId ?? 'unnamed key');
      const limits = readLimits(header);
      const problem = judgeLimits(limits, signers.minVersion, time, name);
      if (problem !== undefined) {
        outside.push({ error: problem, identities });
        continue;
      }
      for (const identity of identities) seen.add(identity);
      payload = bytes;
      counted.push({ name, limits });
    } catch (error) {
      if (error instanceof TypeError) throw error;
      cause = error;
    }
  }
  if (payload === undefined || counted.length < threshold)
    throw refusal(counted, threshold, outside, seen, cause);
  return { manifest: parseManifest(payload, trustOf(counted)), payload };
}

/** Verifies one signature with the keys of its algorithm and, where anchors are given, its chain. */
async function verifyOne(
  payload: string,
  signature: JwsSignature,
  keys: readonly PublicKey[],
  { anchors }: { readonly anchors: ManifestSigners['anchors'] },
  time: VerificationTime,
): Promise<{ bytes: Bytes; key: PublicKey; header: Readonly<Record<string, unknown>> }> {
  const header: Readonly<Record<string, unknown>> = readHeader(signature.protected);
  const algorithm = jwsAlgorithm(header.alg);
  if (algorithm === undefined) throw invalid('ES256, ES384 or EdDSA', `alg ${show(header.alg)}`);
  if (header.typ !== MANIFEST_TYP)
    throw invalid(`typ ${MANIFEST_TYP} in the protected header`, show(header.typ));
  // RFC 7797: with it, two signatures could be over two readings of one payload.
  if (Object.hasOwn(header, 'b64')) throw invalid('a header without b64', 'b64');
  const candidates: PublicKey[] = keys.filter((key) => key.algorithm === algorithm);
  let cause: unknown;
  if (anchors !== undefined && header.x5c !== undefined && algorithm === 'ES384')
    try {
      const certified = await verifySignerChain(header.x5c, anchors, time);
      if (certified !== undefined) candidates.push(certified);
    } catch (error) {
      if (!(error instanceof AttestationError)) throw error;
      cause = error;
    }
  for (const key of candidates)
    try {
      const result = await flattenedVerify({ payload, ...signature }, key.key, {
        algorithms: [String(header.alg)],
        crit: { nbf: true, exp: true, manifest_version: true },
      });
      return { bytes: new Uint8Array(result.payload), key, header };
    } catch (error) {
      cause ??= error;
    }
  throw invalid(
    'a signature by a given key',
    cause instanceof AttestationError ? cause.message : 'none that verifies',
    cause,
  );
}

function readHeader(encoded: string): Readonly<Record<string, unknown>> {
  try {
    return decodeProtectedHeader({ protected: encoded }) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw invalid('a protected header', 'none that can be read', cause);
  }
}

/** One signer is one key and, with certificates, one subject: renewing a key makes no second vote. */
function identitiesOf(key: PublicKey): readonly string[] {
  const identities = [`key ${key.thumbprint}`];
  if ('subjectHex' in key) identities.push(`subject ${(key as CertifiedKey).subjectHex}`);
  return identities;
}

function readLimits(header: Readonly<Record<string, unknown>>): Limits {
  const [notBefore, notAfter, version] = LIMITS.map((name) => {
    const value = header[name];
    if (value !== undefined && !(Number.isSafeInteger(value) && (value as number) >= 0))
      throw invalid(`${name} as whole number`, show(value));
    return value as number | undefined;
  });
  return {
    notBeforeMs: notBefore && notBefore * 1000,
    notAfterMs: notAfter === undefined ? undefined : notAfter * 1000,
    version,
  };
}

function judgeLimits(
  { notBeforeMs, notAfterMs, version }: Limits,
  minVersion: number | undefined,
  { nowMs, clockToleranceSeconds }: VerificationTime,
  name: string,
): AttestationError | undefined {
  const toleranceMs = clockToleranceSeconds * 1000;
  const now = new Date(nowMs).toISOString();
  if (notAfterMs !== undefined && nowMs > notAfterMs + toleranceMs)
    return refused('manifest.expired', `${name}: until ${iso(notAfterMs)}`, now);
  if (notBeforeMs !== undefined && nowMs < notBeforeMs - toleranceMs)
    return refused('manifest.not-yet-valid', `${name}: from ${iso(notBeforeMs)}`, now);
  if (minVersion !== undefined && (version === undefined || version < minVersion))
    return refused(
      'manifest.version-too-old',
      `${name}: version ${minVersion} or later`,
      version === undefined ? 'no version' : `version ${version}`,
    );
  return undefined;
}

/** The most telling reason: signatures that would have sufficed at another time, then too few. */
function refusal(
  counted: readonly Counted[],
  threshold: number,
  outside: readonly { readonly error: AttestationError; readonly identities: readonly string[] }[],
  seen: ReadonlySet<string>,
  cause: unknown,
): AttestationError {
  const others = new Set<string>();
  for (const { identities } of outside)
    if (!identities.some((identity) => seen.has(identity))) others.add(identities.join());
  const [first] = outside;
  if (first !== undefined && counted.length + others.size >= threshold) return first.error;
  if (counted.length > 0)
    return refused(
      'manifest.threshold-not-met',
      `${threshold} different signers`,
      `${counted.length}: ${counted.map(({ name }) => name).join(', ')}`,
    );
  if (cause instanceof AttestationError) return cause;
  return invalid('a signature by a given key', 'none that verifies', cause);
}

function trustOf(counted: readonly Counted[]): ManifestTrustSource {
  const limits = counted.map((one) => one.limits);
  const given = (values: readonly (number | undefined)[]): readonly number[] =>
    values.filter((value) => value !== undefined);
  const versions = given(limits.map(({ version }) => version));
  const from = given(limits.map(({ notBeforeMs }) => notBeforeMs));
  const until = given(limits.map(({ notAfterMs }) => notAfterMs));
  return {
    source: 'signature',
    keyIds: counted.map(({ name }) => name),
    // Who gave none says nothing about the version: then there is none.
    ...(versions.length === counted.length && { version: Math.min(...versions) }),
    ...(from.length > 0 && { notBeforeMs: Math.max(...from) }),
    ...(until.length > 0 && { notAfterMs: Math.min(...until) }),
  };
}

function clock(): VerificationTime {
  const nowMs = Date.now();
  return { nowMs, source: 'clock', clockToleranceSeconds: 60, documentMs: nowMs };
}

function invalid(expected: string, actual: string, cause?: unknown): AttestationError {
  return new AttestationError('manifest.signature-invalid', {
    expected,
    actual,
    ...(cause !== undefined && { cause }),
  });
}

function refused(
  code: keyof typeof SIGNED_MANIFEST_CODES,
  expected: string,
  actual: string,
): AttestationError {
  const row: CodeFacts = SIGNED_MANIFEST_CODES[code];
  return new AttestationError(row, { expected, actual });
}

function iso(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? `${milliseconds} ms` : date.toISOString();
}

function show(value: unknown): string {
  return value === undefined ? 'none' : (JSON.stringify(value)?.slice(0, 64) ?? typeof value);
}
