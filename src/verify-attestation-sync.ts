import { runFlowSync } from './crypto/flow.js';
import type { EvidenceInput } from './evidence.js';
import { claimsOf, demandManifest, judge } from './judge.js';
import type { ManifestInput } from './manifest/parse-manifest.js';
import { resolveOptions, type VerifyOptions } from './options.js';
import type { VerifiedClaims } from './proven-claims.js';

/**
 * `verifyAttestation` for places that can't wait. It is the same engine, run straight through, and
 * needs a provider with a synchronous form: node:crypto or WASM.
 *
 * Returns the proven claims or throws an `AttestationError`. TypeError when the provider has no
 * synchronous form, and for signed manifests, whose check has to wait.
 */
export function verifyAttestationSync(
  evidence: EvidenceInput,
  manifest: ManifestInput,
  options: VerifyOptions = {},
): VerifiedClaims {
  const resolved = resolveOptions(options);
  const { sync, name } = resolved.provider;
  if (sync === undefined) throw new TypeError(`provider ${name} has no synchronous form`);
  return claimsOf(runFlowSync(judge(evidence, demandManifest(manifest), resolved, sync)));
}
