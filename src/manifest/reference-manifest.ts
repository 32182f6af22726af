import type { Bytes } from '../bytes/bytes.js';
import type { Provenance } from '../result/appraisal.js';
import type { ManifestTrustSource } from '../result/manifest-report.js';

export type { Provenance };

/** One measured event of a set, so that a mismatch can be traced (docs/measurements.md). */
export interface ManifestEvent {
  readonly pcr: number;
  /** SHA-384 that was extended, lower-case hex. */
  readonly digest: string;
  readonly description: string;
  /** What kind of thing was measured, e.g. `uki` or `separator`. */
  readonly kind?: string;
}

/** One image that is (or was) accepted: its PCRs match as a whole or not at all. */
export interface MeasurementSet {
  readonly label: string;
  /** 48-byte values by PCR index, ascending. */
  readonly pcrs: ReadonlyMap<number, Bytes>;
  /** Milliseconds since the epoch; both ends belong to the window. */
  readonly notBeforeMs: number | undefined;
  readonly notAfterMs: number | undefined;
  /** Why the set is no longer accepted. */
  readonly revokedReason: string | undefined;
  readonly events: readonly ManifestEvent[];
}

/** A reference manifest of any accepted shape, read and found complete (docs/manifest.md). */
export interface ReferenceManifest {
  readonly name: string | undefined;
  readonly imageVersion: string | undefined;
  /** Undefined for AWS's shapes, which do not say it: then the evidence decides what must be pinned. */
  readonly platform: 'nitrotpm' | 'enclave' | undefined;
  readonly sets: readonly MeasurementSet[];
  readonly provenance: Provenance | undefined;
  /** Why the manifest was believed: given by the caller as it is, or signed by a key of theirs. */
  readonly trust: ManifestTrustSource;
}
