import { asciiBytes, type Bytes, concatBytes, equalBytes, isFilledWith } from './bytes/bytes.js';
import { encodeHex } from './bytes/hex.js';
import { parseEnvelope } from './cose.js';
import type { Engine } from './crypto/engine.js';
import { type Flow, wait } from './crypto/flow.js';
import type { UnverifiedEvidence } from './evidence.js';
import type { LoadedManifest } from './manifest/load-manifest.js';
import { debugPcrs } from './nitro/debug-mode.js';
import { parseDocument, type VerifiedDocument } from './nitro/document.js';
import { AttestationError } from './result/attestation-error.js';
import type { Claims, QuoteClaims } from './result/claims.js';
import type { ManifestReport } from './result/manifest-report.js';
import type { Report } from './result/report.js';
import type { VerifiedQuote } from './tpm/quote.js';
import type { UnverifiedPath } from './x509/path.js';

/** What `verifyAttestation` resolves with: the proven claims, also as bytes, and the report. */
export interface VerifiedClaims extends Claims {
  readonly publicKeyBytes: Bytes | undefined;
  readonly userDataBytes: Bytes | undefined;
  readonly nonceBytes: Bytes | undefined;
  readonly report: Report;
}

/** `i-0123…-tpm…` or `i-0123…-enc…` (AWS: module_id starts with the instance's ID). */
const MODULE_ID = /^(i-[0-9a-f]{8,17})-(?:tpm|enc)[0-9a-f]+$/;

/** The claims of a verified document, as plain JSON data. */
export function* describeClaims(
  document: VerifiedDocument,
  path: UnverifiedPath,
  engine: Engine,
): Flow<Claims> {
  const { platform, moduleId, timestampMs, publicKey, userData, nonce } = document;
  const instanceId = MODULE_ID.exec(moduleId)?.[1];
  const pcrs: Record<number, string> = {};
  for (const [index, value] of document.pcrs) pcrs[index] = encodeHex(value);
  return {
    platform,
    moduleId,
    ...(instanceId !== undefined && { instanceId }),
    timestampMs,
    pcrs,
    ...(publicKey !== undefined && { publicKey: encodeHex(publicKey) }),
    ...(userData !== undefined && { userData: encodeHex(userData) }),
    ...(nonce !== undefined && { nonce: encodeHex(nonce) }),
    debugMode: debugPcrs(document).length > 0,
    ...(platform === 'enclave' && {
      parentInstance: yield* compareParent(document, instanceId, engine),
    }),
    unknownKeys: document.unknownKeys,
    certificates: path.certificates.map((certificate) => ({
      subject: certificate.subject.text,
      issuer: certificate.issuer.text,
      serial: certificate.serialHex,
      notBeforeMs: certificate.notBeforeMs,
      notAfterMs: certificate.notAfterMs,
    })),
  };
}

/** Whether PCR4 is what this parent gives: SHA-384(48 zero bytes || instance ID). */
function* compareParent(
  { pcrs }: VerifiedDocument,
  instanceId: string | undefined,
  engine: Engine,
): Flow<NonNullable<Claims['parentInstance']>> {
  const pcr4 = pcrs.get(4);
  if (pcr4 === undefined || isFilledWith(pcr4, 0) || instanceId === undefined) return 'absent';
  const extended = concatBytes(new Uint8Array(pcr4.length), asciiBytes(instanceId));
  const expected = yield* wait(engine.digest('SHA-384', extended));
  return equalBytes(pcr4, expected) ? 'matches' : 'differs';
}

/** What a verified quote says, as plain JSON data. */
export function describeQuote(quote: VerifiedQuote): QuoteClaims {
  return {
    attestationKey: encodeHex(quote.akPoint),
    attestationKeyAttributes: quote.akAttributes,
    pcrs: quote.quotedPcrs,
    resetCount: quote.resetCount,
    restartCount: quote.restartCount,
    clockMs: quote.clockMs.toString(),
    clockSafe: quote.safe,
    firmwareVersion: quote.firmwareVersion.toString(16),
  };
}

/**
 * The manifest by its hash, and why it was believed. A manifest that is read once is hashed once,
 * but no provider's hash is reported for another.
 */
export function* describeManifest(
  { bytes, hashes, trust }: LoadedManifest,
  partialAllowed: boolean,
  engine: Engine,
  providerScope: string,
): Flow<ManifestReport> {
  const sha256 =
    hashes.get(providerScope) ??
    hashes.set(providerScope, encodeHex(yield* wait(engine.digest('SHA-256', bytes))));
  return { sha256, trust: { ...trust }, partialAllowed };
}

/**
 * The time that a document claims, to judge a manifest's signature at when everything is judged at
 * it. A document that cannot be read is refused in its own step.
 */
export function claimedTimestamp({ document }: UnverifiedEvidence): number {
  const silent = (): void => undefined;
  try {
    return parseDocument(parseEnvelope(document, silent).content, silent).timestampMs;
  } catch (error) {
    if (error instanceof AttestationError) return Date.now();
    throw error;
  }
}
