import { decodeHex } from 'tee-verify/bytes';
import type { MeasurementSet } from 'tee-verify/manifest';
import { agrees, type ManifestSets, pcrHex, pinsAnImage } from './manifest-sets.js';
import type { ConditionProblem } from './policy-conditions.js';

/** How what a statement accepts compares with a manifest. */
export interface SetComparison {
  /** The accepted sets that the statement admits. */
  readonly admitted: ManifestSets['accepted'];
  readonly problems: readonly ConditionProblem[];
}

/** A manifest has 1024 sets at most: more combinations than that mix them. */
const MAX_COMBINATIONS = 4096;

/** Compares every combination of PCRs that a statement accepts with the sets of a manifest. */
export function compareWithSets(
  pcrs: ReadonlyMap<number, readonly string[]>,
  sets: ManifestSets,
): SetComparison {
  const bound = [...pcrs].sort(([a], [b]) => a - b);
  const toValues = (set: MeasurementSet): Values => ({
    set,
    values: bound.map(([index]) => pcrHex(set, index)),
  });
  const accepted = sets.accepted.map(toValues);
  const closed = [...sets.revoked, ...sets.expired].map(toValues);
  const known = [...accepted, ...closed];
  const problems: ConditionProblem[] = [];
  const lists = bound.map(([index, values], i): readonly string[] => {
    const inSets = new Set(known.map((one) => one.values[i]));
    for (const value of values)
      if (!inSets.has(value))
        problems.push({ code: 'policy.value-unknown', detail: `PCR${index} ${value}` });
    return values.filter((value) => inSets.has(value));
  });
  const letsIn = ({ values }: Values): boolean =>
    bound.every(([, list], i) => list.length > 0 && isIn(values[i], list));
  const admitted = accepted.filter((one) => letsIn(one) && !one.values.includes(undefined));
  for (const one of closed) {
    // What is accepted again, in another time, is no finding.
    const again =
      !sets.revoked.includes(one.set) && admitted.some(({ set }) => agrees(set, one.set));
    if (letsIn(one) && !again)
      problems.push({ code: 'policy.value-revoked', detail: one.set.label });
  }
  problems.push(...checkCombinations(bound, lists, accepted, closed), ...checkPinning(bound, sets));
  return { admitted: admitted.map(({ set }) => set), problems };
}

/** A set, and its lower-case hex for each PCR that a statement compares. */
interface Values {
  readonly set: MeasurementSet;
  readonly values: readonly (string | undefined)[];
}

/** A PCR that a set does not pin tells nothing from it. */
function isIn(value: string | undefined, list: readonly string[]): boolean {
  return value === undefined || list.includes(value);
}

/**
 * Each combination of known values must be that of one accepted set. Values of sets that are closed
 * count, too: an old image with the new one's PCR12 is a mix, and whoever starts it chooses PCR12.
 */
function checkCombinations(
  bound: readonly (readonly [number, readonly string[]])[],
  lists: readonly (readonly string[])[],
  accepted: readonly Values[],
  closed: readonly Values[],
): readonly ConditionProblem[] {
  const count = lists.reduce((product, values) => product * values.length, 1);
  if (count > MAX_COMBINATIONS)
    return [{ code: 'policy.mixes-sets', detail: `${count} combinations` }];
  const ofOneSet = new Set(accepted.map(({ values }) => values.join()));
  for (const combination of combinations(lists)) {
    if (ofOneSet.has(combination.join())) continue;
    // All of a closed set: said above.
    if (closed.some(({ values }) => combination.every((one, i) => isIn(values[i], [one]))))
      continue;
    const detail = combination.map((value, i) => `PCR${bound[i]?.[0]} ${value}`).join(' with ');
    return [{ code: 'policy.mixes-sets', detail }];
  }
  return [];
}

function combinations(lists: readonly (readonly string[])[]): readonly (readonly string[])[] {
  return lists.reduce<readonly (readonly string[])[]>(
    (all, values) => all.flatMap((start) => values.map((value) => [...start, value])),
    [[]],
  );
}

/** Whether what is bound pins an image at all, with the weakest value of each list. */
function checkPinning(
  bound: readonly (readonly [number, readonly string[]])[],
  { platform }: ManifestSets,
): readonly ConditionProblem[] {
  const list = bound.map(([index]) => `PCR${index}`).join(', ');
  const matching = bound.filter(([, values]) => values.length > 0);
  // Something never matches: said elsewhere, and nobody gets in.
  if (matching.length < bound.length) return [];
  const longest = Math.max(...matching.map(([, values]) => values.length));
  for (let i = 0; i < longest; i++) {
    const pcrs = new Map(
      matching.map(([index, values]) => [
        index,
        decodeHex(values[Math.min(i, values.length - 1)] as string) as Uint8Array<ArrayBuffer>,
      ]),
    );
    if (pinsAnImage(platform, pcrs)) continue;
    const isTpm4 = platform === 'nitrotpm' && pcrs.has(4) && !pcrs.has(12);
    return [{ code: isTpm4 ? 'policy.pcr12-missing' : 'policy.pins-too-little', detail: list }];
  }
  return [];
}
