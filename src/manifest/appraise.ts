import { equalBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import type { VerifiedDocument } from '../nitro/document.js';
import { pcrMeaning } from '../nitro/pcr-meaning.js';
import type { Appraisal, PcrComparison, SetComparison } from '../result/appraisal.js';
import { reject } from '../result/attestation-error.js';
import type { Note } from '../result/note.js';
import type { VerificationTime } from '../result/verification-time.js';
import { checkCompleteness } from './completeness.js';
import type { MeasurementSet, ReferenceManifest } from './reference-manifest.js';

/** Says in sentences why a PCR differs from what these events of a set give. */
type Explain = (pcr: number, events: MeasurementSet['events']) => readonly string[];

/**
 * Compares the signed PCRs with the manifest: one accepted set must match as a whole. A revoked set
 * that matches is refused before anything else. Throws `manifest.platform-mismatch`,
 * `manifest.incomplete`, `manifest.no-accepted-set`, `pcr.*`; `onComparison` gets the nearest set
 * even then.
 */
export function appraise(
  document: VerifiedDocument,
  manifest: ReferenceManifest,
  { nowMs }: VerificationTime,
  allowPartialManifest: boolean,
  note: Note,
  explain: Explain | undefined,
  onComparison: (appraisal: Appraisal) => void,
): Appraisal {
  const { platform, pcrs } = document;
  if (manifest.platform !== undefined && manifest.platform !== platform)
    reject('manifest.platform-mismatch', manifest.platform, platform);
  if (!allowPartialManifest) checkCompleteness(manifest, platform);

  const conclude = (set: MeasurementSet): Appraisal => {
    const comparison = compare(document, set);
    const explanation = comparison.pcrs
      .filter(({ matches }) => !matches)
      .flatMap(({ index }) => (set.events.length > 0 ? (explain?.(index, set.events) ?? []) : []));
    const appraisal: Appraisal = {
      manifestName: manifest.name,
      imageVersion: manifest.imageVersion,
      ...comparison,
      explanation,
      ...(manifest.provenance !== undefined && { provenance: { ...manifest.provenance } }),
    };
    onComparison(appraisal);
    return appraisal;
  };

  const matching = manifest.sets.filter((set) => differences(pcrs, set) === 0);
  const revoked = matching.find(({ revokedReason }) => revokedReason !== undefined);
  if (revoked !== undefined) {
    conclude(revoked);
    reject(
      'pcr.revoked',
      'an accepted measurement set',
      `${revoked.label}, revoked: ${revoked.revokedReason}`,
    );
  }
  note('no revoked set matches');

  const match = matching.find((set) => isInTime(set, nowMs));
  if (match !== undefined) {
    note(`${match.pcrs.size} PCRs equal measurement set ${JSON.stringify(match.label)}`);
    return conclude(match);
  }
  const [outside] = matching;
  if (outside !== undefined) {
    conclude(outside);
    reject(
      'pcr.set-outside-validity',
      `${outside.label} used ${time(outside.notBeforeMs)} to ${time(outside.notAfterMs)}`,
      new Date(nowMs).toISOString(),
    );
  }

  const accepted = manifest.sets.filter(
    (set) => set.revokedReason === undefined && isInTime(set, nowMs),
  );
  const nearest = accepted
    .map((set) => ({ set, distance: differences(pcrs, set) }))
    .sort((a, b) => a.distance - b.distance)[0]?.set;
  if (nearest === undefined)
    reject(
      'manifest.no-accepted-set',
      'at least one set that is neither revoked nor outside its time',
      `${manifest.sets.length} sets, none of them`,
    );
  const { pcrs: compared } = conclude(nearest);
  const wrong = compared.filter(({ matches }) => !matches);
  const isMissing = wrong.every(({ actual }) => actual === undefined);
  reject(
    isMissing ? 'pcr.missing' : 'pcr.mismatch',
    `${nearest.label} (nearest of ${accepted.length}): ${wrong.map((pcr) => `PCR${pcr.index} ${pcr.expected}`).join(', ')}`,
    wrong
      .map((pcr) => `PCR${pcr.index} (${pcr.meaning}) ${pcr.actual ?? 'not in the document'}`)
      .join(', '),
  );
}

function differences(pcrs: VerifiedDocument['pcrs'], set: MeasurementSet): number {
  let count = 0;
  for (const [index, expected] of set.pcrs) {
    const actual = pcrs.get(index);
    if (actual === undefined || !equalBytes(expected, actual)) count++;
  }
  return count;
}

function compare({ platform, pcrs }: VerifiedDocument, set: MeasurementSet): SetComparison {
  const compared = [...set.pcrs].map(([index, expected]): PcrComparison => {
    const actual = pcrs.get(index);
    return {
      index,
      meaning: pcrMeaning(platform, index),
      expected: encodeHex(expected),
      actual: actual && encodeHex(actual),
      matches: actual !== undefined && equalBytes(expected, actual),
    };
  });
  return { label: set.label, matches: compared.every(({ matches }) => matches), pcrs: compared };
}

function isInTime(set: MeasurementSet, nowMs: number): boolean {
  return nowMs >= (set.notBeforeMs ?? -Infinity) && nowMs <= (set.notAfterMs ?? Infinity);
}

function time(milliseconds: number | undefined): string {
  return milliseconds === undefined ? 'any time' : new Date(milliseconds).toISOString();
}
