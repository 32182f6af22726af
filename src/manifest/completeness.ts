import { isFilledWith } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { reject } from '../result/attestation-error.js';
import type { MeasurementSet, ReferenceManifest } from './reference-manifest.js';

type Platform = 'nitrotpm' | 'enclave';

/**
 * PCR7 of a boot without Secure Boot and without enrolled keys, on EC2 and on OVMF alike
 * (docs/measurements.md). It is the same for every image: pinning it pins nothing.
 */
export const PCR7_SECURE_BOOT_OFF =
  '98441c7f7625d10058c47683aec486ce311c633235eb555593a7ee791121e3578ae72d04ecef661f272d59058b77af35';

/**
 * Refuses a manifest that would accept images its author never saw: one that pins nothing, or a
 * NitroTPM set with PCR4 but neither PCR12 nor PCR7 (advisory GHSA-xrv8-2pf5-f3q7: a command line
 * from outside is measured in PCR12 only). Throws `manifest.incomplete`.
 */
export function checkCompleteness(
  manifest: ReferenceManifest,
  platform: Platform | undefined,
): void {
  const platforms: readonly Platform[] =
    platform === undefined ? ['nitrotpm', 'enclave'] : [platform];
  const accepted = manifest.sets.filter(({ revokedReason }) => revokedReason === undefined);
  for (const set of accepted)
    if (!platforms.some((one) => pinsAnImage(set, one)))
      incomplete(
        platforms.map((one) => NEEDED[one]).join('; or '),
        `${set.label}: ${[...set.pcrs.keys()].map((index) => `PCR${index}`).join(', ') || 'no PCR'}${why(set)}`,
      );
}

/** Even a partial manifest pins something. Throws `manifest.incomplete`. */
export function checkPinsSomething(manifest: ReferenceManifest): void {
  if (manifest.sets.length === 0) incomplete('at least one measurement set', 'none');
  const empty = manifest.sets.find(({ pcrs }) => pcrs.size === 0);
  if (empty !== undefined) incomplete('at least one PCR in every set', `${empty.label}: none`);
}

const NEEDED: Readonly<Record<Platform, string>> = {
  nitrotpm: 'PCR4 and PCR12, or PCR7 with Secure Boot on (NitroTPM)',
  enclave: 'PCR0, or PCR1 and PCR2, or PCR8 of a signed image (enclave)',
};

function pinsAnImage(set: MeasurementSet, platform: Platform): boolean {
  /** An all-zero register was never extended: it says nothing about what ran. */
  const measured = (index: number): boolean => {
    const value = set.pcrs.get(index);
    return value !== undefined && !isFilledWith(value, 0) && !isFilledWith(value, 0xff);
  };
  if (platform === 'enclave') return measured(0) || (measured(1) && measured(2)) || measured(8);
  const bySecureBoot = measured(7) && !isSecureBootOff(set);
  return bySecureBoot || (measured(4) && set.pcrs.has(12));
}

function isSecureBootOff(set: MeasurementSet): boolean {
  const value = set.pcrs.get(7);
  return value !== undefined && encodeHex(value) === PCR7_SECURE_BOOT_OFF;
}

function why(set: MeasurementSet): string {
  return isSecureBootOff(set)
    ? ' (PCR7 has the value of Secure Boot off, which every image shares)'
    : '';
}

function incomplete(expected: string, actual: string): never {
  reject('manifest.incomplete', expected, actual);
}
