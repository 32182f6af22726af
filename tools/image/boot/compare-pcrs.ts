import { encodeHex } from 'tee-verify/bytes';
import type { MeasurementSet, ReferenceManifest } from 'tee-verify/manifest';
import { printable } from 'tee-verify/measure';

/** One PCR of the guest beside the manifest's. */
export interface ComparedPcr {
  readonly pcr: number;
  readonly guest: string | undefined;
  readonly expected: string;
}

/** How a guest's PCRs stand to a manifest. */
export interface PcrComparison {
  /** The set whose PCRs all match, else the one that comes nearest. */
  readonly label: string;
  readonly matches: boolean;
  /** Why the set no longer counts, though it may match. */
  readonly revokedReason: string | undefined;
  readonly pcrs: readonly ComparedPcr[];
}

/** Compares with each measurement set as a whole: PCRs of two sets are never mixed. */
export function comparePcrs(
  guest: ReadonlyMap<number, string>,
  { sets }: ReferenceManifest,
): PcrComparison {
  const compared = sets.map((set) => compareSet(guest, set));
  const best = compared.reduce((a, b) => (misses(b) < misses(a) ? b : a));
  return compared.find(({ matches }) => matches) ?? best;
}

function compareSet(guest: ReadonlyMap<number, string>, set: MeasurementSet): PcrComparison {
  const pcrs = [...set.pcrs].map(([pcr, value]) => ({
    pcr,
    guest: guest.get(pcr),
    expected: encodeHex(value),
  }));
  const { label, revokedReason } = set;
  const same = pcrs.length > 0 && pcrs.every(({ guest: found, expected }) => found === expected);
  return { label, matches: same && revokedReason === undefined, revokedReason, pcrs };
}

const misses = ({ pcrs }: PcrComparison): number =>
  pcrs.filter(({ guest, expected }) => guest !== expected).length;

/** The comparison as lines for people; PCRs that changed after the hand-over are said. */
export function formatComparison(
  { label, matches, revokedReason, pcrs }: PcrComparison,
  atHandOver: ReadonlyMap<number, string> | undefined,
): string {
  const lines = pcrs.flatMap(({ pcr, guest, expected }) => {
    const name = `PCR${pcr}`.padEnd(6);
    if (guest === expected) return [`${name} same       ${expected}`];
    const later =
      atHandOver?.get(pcr) === expected
        ? ['       it was the same when the firmware handed over; the system extended it']
        : [];
    return [
      `${name} DIFFERENT  manifest  ${expected}`,
      `                  guest     ${guest ?? 'unknown: its TPM was not started'}`,
      ...later,
    ];
  });
  if (revokedReason !== undefined) lines.push(`revoked: ${printable(revokedReason)}`);
  const verdict = matches
    ? 'The guest is what the manifest says'
    : 'The guest is NOT what the manifest says';
  return `${lines.join('\n')}\n${verdict} (${printable(label)}).\n`;
}
