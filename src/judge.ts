import { createEngine } from './crypto/engine.js';
import { type Flow, wait } from './crypto/flow.js';
import type { SyncCrypto } from './crypto/provider.js';
import type { EvidenceInput } from './evidence.js';
import type { ManifestInput } from './manifest/parse-manifest.js';
import type { VerifiedDocument } from './nitro/document.js';
import type { ResolvedOptions } from './options.js';
import type { VerifiedClaims } from './proven-claims.js';
import { AttestationError } from './result/attestation-error.js';
import { loadHints } from './result/hint-of.js';
import type { Report } from './result/report.js';
import { ReportBuilder } from './result/report-builder.js';
import { verifyEvidence } from './verify.js';

/** How a verification ended. */
export type Outcome =
  | { readonly document: VerifiedDocument; readonly report: Report }
  | { readonly error: AttestationError; readonly report: Report };

/** Runs the main flow and writes its report; only what is not an `AttestationError` gets out. */
export function* judge(
  evidence: EvidenceInput,
  manifest: ManifestInput | undefined,
  options: ResolvedOptions,
  sync?: SyncCrypto,
): Flow<Outcome> {
  const { provider } = options;
  const report = new ReportBuilder(provider);
  const engine = createEngine(provider.name, sync ?? provider, sync !== undefined);
  try {
    const document = yield* verifyEvidence(evidence, manifest, options, engine, report);
    return { document, report: report.finish() };
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    if (sync === undefined) yield* wait(loadHints());
    error.report = report.finish(error);
    return { error, report: error.report };
  }
}

/** The claims of a successful outcome; throws the error of any other. */
export function claimsOf(outcome: Outcome): VerifiedClaims {
  if ('error' in outcome) throw outcome.error;
  const { document, report } = outcome;
  // Fail closed: whatever the steps said, nothing but a finished appraisal is a yes.
  if (report.verdict !== 'verified' || report.claims === undefined)
    throw new AttestationError('pcr.mismatch', { actual: `verdict ${report.verdict}` });
  return {
    ...report.claims,
    publicKeyBytes: document.publicKey?.slice(),
    userDataBytes: document.userData?.slice(),
    nonceBytes: document.nonce?.slice(),
    report,
  };
}

/** A caller who wants a verdict must say what to expect. */
export function demandManifest(manifest: ManifestInput): ManifestInput {
  if (manifest === undefined || manifest === null)
    throw new TypeError('verifyAttestation needs a manifest; without one use inspectAttestation');
  return manifest;
}
