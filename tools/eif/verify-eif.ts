import { AttestationError } from 'tee-verify';
import { encodeHex, isFilledWith } from 'tee-verify/bytes';
import type { MeasurementSet, ReferenceManifest } from 'tee-verify/manifest';

/** The measurement set that an image matches. */
export interface EifMatch {
  readonly label: string;
  /** PCRs of the set that were compared. */
  readonly compared: readonly number[];
  /** PCRs of the set that only a running enclave has, e.g. 3 and 4 (its parent). */
  readonly notCompared: readonly number[];
}

/** What an image decides; the others come from where and how it runs. */
const IMAGE_PCRS: readonly number[] = [0, 1, 2, 8];

/**
 * Compares the PCRs of an image with a manifest: one accepted set must match as a whole, as far as
 * an image can tell. A revoked set that matches refuses the image. Throws
 * `manifest.platform-mismatch`, `manifest.incomplete`, `manifest.no-accepted-set`, `pcr.*`.
 */
export function verifyEif(
  pcrs: ReadonlyMap<number, string>,
  manifest: ReferenceManifest,
  nowMs: number,
): EifMatch {
  if (manifest.platform === 'nitrotpm')
    throw new AttestationError('manifest.platform-mismatch', {
      expected: 'a manifest of an enclave',
      actual: 'one for NitroTPM',
    });
  const accepted = manifest.sets.filter(({ revokedReason }) => revokedReason === undefined);
  if (accepted.length === 0)
    throw new AttestationError('manifest.no-accepted-set', {
      expected: 'a set that is not revoked',
      actual: `${manifest.sets.length} sets, none of them`,
    });
  for (const set of accepted) demandImage(set);
  const matching = manifest.sets.filter(
    (set) => imagePart(set).length > 0 && differing(set, pcrs).length === 0,
  );
  const revoked = matching.find(({ revokedReason }) => revokedReason !== undefined);
  if (revoked !== undefined)
    throw new AttestationError('pcr.revoked', {
      expected: 'an accepted measurement set',
      actual: `${revoked.label}, revoked: ${revoked.revokedReason}`,
    });
  const match = matching.find((set) => isInTime(set, nowMs));
  if (match !== undefined)
    return {
      label: match.label,
      compared: imagePart(match),
      notCompared: [...match.pcrs.keys()].filter((index) => !IMAGE_PCRS.includes(index)),
    };
  const [outside] = matching;
  if (outside !== undefined)
    throw new AttestationError('pcr.set-outside-validity', {
      expected: `${outside.label} used in its time`,
      actual: new Date(nowMs).toISOString(),
    });
  throw mismatch(accepted, pcrs);
}

/** The nearest set, and what differs from it. */
function mismatch(
  accepted: readonly MeasurementSet[],
  pcrs: ReadonlyMap<number, string>,
): AttestationError {
  const [nearest] = [...accepted].sort(
    (a, b) => differing(a, pcrs).length - differing(b, pcrs).length,
  ) as [MeasurementSet];
  const wrong = differing(nearest, pcrs);
  const isMissing = wrong.every((index) => !pcrs.has(index));
  const expected = (index: number): string => encodeHex(nearest.pcrs.get(index) as Uint8Array);
  return new AttestationError(isMissing ? 'pcr.missing' : 'pcr.mismatch', {
    expected: `${nearest.label}: ${wrong.map((index) => `PCR${index} ${expected(index)}`).join(', ')}`,
    actual: wrong
      .map((index) => `PCR${index} ${pcrs.get(index) ?? 'none (the image is not signed)'}`)
      .join(', '),
  });
}

/** As tee-verify demands it of an enclave's manifest. */
function demandImage({ label, pcrs }: MeasurementSet): void {
  const pins = (index: number): boolean => {
    const value = pcrs.get(index);
    return value !== undefined && !isFilledWith(value, 0) && !isFilledWith(value, 0xff);
  };
  if (!(pins(0) || (pins(1) && pins(2)) || pins(8)))
    throw new AttestationError('manifest.incomplete', {
      expected: 'PCR0, or PCR1 and PCR2, or PCR8 of a signed image',
      actual: `${label}: ${[...pcrs.keys()].map((index) => `PCR${index}`).join(', ') || 'no PCR'}`,
    });
}

function imagePart({ pcrs }: MeasurementSet): number[] {
  return [...pcrs.keys()].filter((index) => IMAGE_PCRS.includes(index));
}

function differing(set: MeasurementSet, pcrs: ReadonlyMap<number, string>): number[] {
  return imagePart(set).filter(
    (index) => encodeHex(set.pcrs.get(index) as Uint8Array) !== pcrs.get(index),
  );
}

function isInTime({ notBeforeMs, notAfterMs }: MeasurementSet, nowMs: number): boolean {
  return nowMs >= (notBeforeMs ?? -Infinity) && nowMs <= (notAfterMs ?? Infinity);
}
