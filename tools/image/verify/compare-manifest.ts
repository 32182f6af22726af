import { encodeHex } from 'tee-verify/bytes';
import type { MeasurementSet, ReferenceManifest } from 'tee-verify/manifest';
import { PREDICTABLE_PCRS, type UkiMeasurement } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';

/**
 * Compares predicted PCRs with a manifest: one of its sets must match as a whole, as an instance's
 * PCRs will have to. Gives what to say about it. Throws `verify.pcr-mismatch`,
 * `verify.manifest-unusable`.
 */
export function compareManifest(manifest: ReferenceManifest, measured: UkiMeasurement): string {
  const usable = manifest.sets.filter(({ revokedReason }) => revokedReason === undefined);
  if (manifest.platform === 'enclave' || usable.length === 0 || !usable.some(pinsImage))
    throw new ToolError('verify.manifest-unusable', {
      expected: 'a set of a NitroTPM image that is not revoked and lists PCR4',
      actual: manifest.platform === 'enclave' ? 'a manifest of an enclave' : 'none',
    });
  const differences = usable
    .filter(pinsImage)
    .map((set) => ({ set, pcrs: differingPcrs(set, measured) }));
  const match = differences.find(({ pcrs }) => pcrs.length === 0);
  if (match === undefined) {
    const closest = differences.reduce((a, b) => (b.pcrs.length < a.pcrs.length ? b : a));
    throw new ToolError('verify.pcr-mismatch', {
      expected: describe(closest.pcrs, (pcr) =>
        encodeHex(closest.set.pcrs.get(pcr) ?? new Uint8Array()),
      ),
      actual: describe(closest.pcrs, (pcr) => measured.pcrs.get(pcr) ?? ''),
    });
  }
  const pinned = [...match.set.pcrs.keys()];
  const compared = pinned.filter((pcr) => measured.pcrs.has(pcr));
  const others = pinned.filter((pcr) => !measured.pcrs.has(pcr));
  const rest = others.length === 0 ? '' : `; not known from an image: PCR ${others.join(', ')}`;
  return `PCR ${compared.join(', ')} of set ${JSON.stringify(match.set.label)}${rest}`;
}

const pinsImage = (set: MeasurementSet): boolean => set.pcrs.has(4);

function differingPcrs(set: MeasurementSet, measured: UkiMeasurement): number[] {
  return [...set.pcrs.keys()].filter((pcr) => {
    const value = measured.pcrs.get(pcr);
    return PREDICTABLE_PCRS.includes(pcr) && value !== undefined && value !== hexOf(set, pcr);
  });
}

const hexOf = (set: MeasurementSet, pcr: number): string =>
  encodeHex(set.pcrs.get(pcr) ?? new Uint8Array());

function describe(pcrs: readonly number[], value: (pcr: number) => string): string {
  return pcrs.map((pcr) => `PCR${pcr} ${value(pcr)}`).join(', ');
}
