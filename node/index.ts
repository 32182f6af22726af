import type {
  EvidenceInput,
  ManifestInput,
  Report,
  VerifiedClaims,
  VerifyOptions,
} from '../src/index.js';
import { inspectAttestation as inspect } from '../src/inspect-attestation.js';
import { verifyAttestation as verify } from '../src/verify-attestation.js';
import { verifyAttestationSync as verifySync } from '../src/verify-attestation-sync.js';
import { createNodeProvider } from './node-provider.js';

export * from '../src/index.js';
export { createNodeProvider };

const provider = createNodeProvider();

/** `verifyAttestation` of the main entry, with node:crypto as the default provider. */
export function verifyAttestation(
  evidence: EvidenceInput,
  manifest: ManifestInput,
  options: VerifyOptions = {},
): Promise<VerifiedClaims> {
  return verify(evidence, manifest, { provider, ...options });
}

/** `verifyAttestationSync` of the main entry, with node:crypto as the default provider. */
export function verifyAttestationSync(
  evidence: EvidenceInput,
  manifest: ManifestInput,
  options: VerifyOptions = {},
): VerifiedClaims {
  return verifySync(evidence, manifest, { provider, ...options });
}

/** `inspectAttestation` of the main entry, with node:crypto as the default provider. */
export function inspectAttestation(
  evidence: EvidenceInput,
  manifest?: ManifestInput,
  options: VerifyOptions = {},
): Promise<Report> {
  return inspect(evidence, manifest, { provider, ...options });
}
