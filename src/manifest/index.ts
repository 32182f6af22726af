/** Reference manifests, read: `tee-verify/manifest`. */
export { type ManifestInput, parseManifest } from './parse-manifest.js';
export type {
  ManifestEvent,
  MeasurementSet,
  Provenance,
  ReferenceManifest,
} from './reference-manifest.js';
