import type {
  CryptoProvider,
  EvidenceInput,
  ManifestInput,
  Report,
  VerifiedClaims,
  VerifyOptions,
} from '../src/index.js';
import { inspectAttestation as inspect } from '../src/inspect-attestation.js';
import { ownOptions } from '../src/options.js';
import { provideHints } from '../src/result/hint-of.js';
import { HINTS } from '../src/result/hints.js';
import { verifyAttestation as verify } from '../src/verify-attestation.js';
import { verifyAttestationSync as verifySync } from '../src/verify-attestation-sync.js';
import { namedProvider, type ProviderName } from './named-provider.js';

export * from '../src/index.js';
export type { ProviderName } from './named-provider.js';
export { createNodeProvider } from './node-provider.js';
export { createVerifierPool, type PoolOptions, type VerifierPool } from './verifier-pool.js';

provideHints(HINTS); // in a back end their size does not matter, and sync calls can't load them

/** `VerifyOptions`, where the provider may also be named; default `node:crypto`. */
export interface NodeVerifyOptions extends Omit<VerifyOptions, 'provider'> {
  readonly provider?: CryptoProvider | ProviderName;
}

function withProvider(options: NodeVerifyOptions): VerifyOptions {
  const own = ownOptions(options);
  const { provider = 'node:crypto' } = own;
  return {
    ...own,
    provider: typeof provider === 'string' ? namedProvider(provider) : provider,
  };
}

/** `verifyAttestation` of the portable entry, with node:crypto as the default provider. */
export async function verifyAttestation(
  evidence: EvidenceInput,
  manifest: ManifestInput,
  options: NodeVerifyOptions = {},
): Promise<VerifiedClaims> {
  return verify(evidence, manifest, withProvider(options));
}

/** `verifyAttestationSync` of the portable entry, with node:crypto as the default provider. */
export function verifyAttestationSync(
  evidence: EvidenceInput,
  manifest: ManifestInput,
  options: NodeVerifyOptions = {},
): VerifiedClaims {
  return verifySync(evidence, manifest, withProvider(options));
}

/** `inspectAttestation` of the portable entry, with node:crypto as the default provider. */
export async function inspectAttestation(
  evidence: EvidenceInput,
  manifest?: ManifestInput,
  options: NodeVerifyOptions = {},
): Promise<Report> {
  return inspect(evidence, manifest, withProvider(options));
}
