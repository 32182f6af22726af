import type { UkiMeasurement } from './measure-uki.js';
import type { MeasuredEvent } from './measured-event.js';

/** A reference manifest as this project writes it (docs/manifest.md), version 1. */
export interface MeasurementManifest {
  readonly version: 1;
  readonly name: string;
  readonly imageVersion?: string;
  readonly platform: 'nitrotpm';
  readonly hashAlgorithm: 'SHA384';
  readonly measurementSets: readonly {
    readonly label: string;
    /** PCR index → 96 lower-case hex digits. */
    readonly pcrs: Readonly<Record<string, string>>;
    /** In extend order: replaying the events of a PCR gives its value. */
    readonly events: readonly MeasuredEvent[];
  }[];
}

/** What a manifest says besides the measurements. */
export interface ManifestNames {
  /** Of the image, e.g. `payments`. */
  readonly name: string;
  readonly imageVersion?: string;
  /** Of the measurement set. Default: the image's name. */
  readonly label?: string;
}

/** The manifest of one measured UKI, with every event that makes its PCRs. */
export function toMeasurementManifest(
  measurement: UkiMeasurement,
  { name, imageVersion, label = name }: ManifestNames,
): MeasurementManifest {
  const pcrs: Record<string, string> = {};
  for (const [pcr, value] of measurement.pcrs) pcrs[pcr] = value;
  return {
    version: 1,
    name,
    ...(imageVersion === undefined ? {} : { imageVersion }),
    platform: 'nitrotpm',
    hashAlgorithm: 'SHA384',
    measurementSets: [{ label, pcrs, events: measurement.events }],
  };
}
