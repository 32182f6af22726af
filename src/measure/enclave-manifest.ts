import type { ManifestNames } from './measurement-manifest.js';
import { parentInstancePcr, parentRolePcr } from './parent-pcrs.js';

/** A reference manifest of an enclave image (docs/manifest.md), version 1. */
export interface EnclaveManifest {
  readonly version: 1;
  readonly name: string;
  readonly imageVersion?: string;
  readonly platform: 'enclave';
  readonly hashAlgorithm: 'SHA384';
  readonly measurementSets: readonly {
    readonly label: string;
    /** PCR index → 96 lower-case hex digits. */
    readonly pcrs: Readonly<Record<string, string>>;
  }[];
}

/** Which parents may run the enclave; each pins another PCR. */
export interface EnclaveParent {
  /** ARN of the parent's IAM role: pins PCR3. */
  readonly parentRoleArn?: string;
  /** The parent itself: pins PCR4. */
  readonly parentInstanceId?: string;
}

/**
 * The manifest of a measured enclave image, and of the parent it may run on.
 * Throws `eif.role-arn-invalid`, `eif.instance-id-invalid`.
 */
export function toEnclaveManifest(
  { pcrs }: { readonly pcrs: ReadonlyMap<number, string> },
  { name, imageVersion, label = name }: ManifestNames,
  { parentRoleArn, parentInstanceId }: EnclaveParent = {},
): EnclaveManifest {
  const pinned = new Map(pcrs);
  if (parentRoleArn !== undefined) pinned.set(3, parentRolePcr(parentRoleArn));
  if (parentInstanceId !== undefined) pinned.set(4, parentInstancePcr(parentInstanceId));
  return {
    version: 1,
    name,
    ...(imageVersion === undefined ? {} : { imageVersion }),
    platform: 'enclave',
    hashAlgorithm: 'SHA384',
    measurementSets: [{ label, pcrs: Object.fromEntries(pinned) }],
  };
}

/** `pcr.json` as nitro-cli prints it, with its odd name of the hash; tee-verify reads it. */
export function formatEnclaveMeasurements(pcrs: ReadonlyMap<number, string>): string {
  const values = [...pcrs].map(([pcr, value]) => [`PCR${pcr}`, value]);
  const Measurements = { HashAlgorithm: 'Sha384 { ... }', ...Object.fromEntries(values) };
  return `${JSON.stringify({ Measurements }, null, 2)}\n`;
}
