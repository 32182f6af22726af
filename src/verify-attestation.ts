import { runFlow } from './crypto/flow.js';
import type { EvidenceInput } from './evidence.js';
import { claimsOf, demandManifest, judge } from './judge.js';
import type { ManifestInput } from './manifest/parse-manifest.js';
import { resolveOptions, type VerifyOptions } from './options.js';
import type { VerifiedClaims } from './proven-claims.js';

/**
 * Decides whether evidence may be trusted: did AWS Nitro hardware boot exactly what the manifest
 * describes, and is it answering now? Resolves with the proven claims, or rejects with an
 * `AttestationError` whose `code`, `step` and `report` say what was wrong. There is no third way
 * out, so nothing can be ignored by accident.
 *
 * `evidence`: a COSE document (bytes, base64, base64url or hex text) or a bundle (JSON text, bytes
 * or object). `manifest`: our format, AWS's `{"Measurements": …}`, flat `{"PCR4": …}`, or a JWS of
 * these. Pass the `nonce` you sent; without one the document must be fresh by its timestamp.
 *
 * Throws any code of docs/codes.md. TypeError only for wrong arguments.
 */
export async function verifyAttestation(
  evidence: EvidenceInput,
  manifest: ManifestInput,
  options: VerifyOptions = {},
): Promise<VerifiedClaims> {
  const resolved = resolveOptions(options);
  return claimsOf(await runFlow(judge(evidence, demandManifest(manifest), resolved)));
}
