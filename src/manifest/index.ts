/** Reference manifests, read, signed and verified: `tee-verify/manifest`. */
export type { ManifestReport, ManifestTrustSource } from '../result/manifest-report.js';
export { SIGNED_MANIFEST_CODES, type SignedManifestCode } from '../result/signed-manifest-codes.js';
export type { JwsAlgorithm, Signer } from '../result/signer.js';
export { checkCompleteness } from './completeness.js';
export { createSigner, type SignerOptions } from './create-signer.js';
export {
  describeSignedManifest,
  type SignedManifestDescription,
} from './describe-signed-manifest.js';
export { type ManifestInput, parseManifest } from './parse-manifest.js';
export type {
  ManifestEvent,
  MeasurementSet,
  Provenance,
  ReferenceManifest,
} from './reference-manifest.js';
export { manifestBytes, type SignManifestOptions, signManifest } from './sign-manifest.js';
export {
  isSignedManifest,
  type ManifestKey,
  type ManifestKeys,
  type ManifestSigners,
} from './signed-manifest.js';
export {
  MANIFEST_TYP,
  type SignedManifest,
  verifySignedManifest,
} from './verify-signed-manifest.js';
