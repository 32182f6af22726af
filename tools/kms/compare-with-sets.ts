import { decodeHex } from 'tee-verify/bytes';
import { type ManifestSets, pcrHex, pinsAnImage } from './manifest-sets.js';
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
  const problems: ConditionProblem[] = [];
  const known = bound.map(([index, values]): readonly [number, readonly string[]] => [
    index,
    values.filter((value) => {
      const inSets = (group: ManifestSets['accepted']): boolean =>
        group.some((set) => pcrHex(set, index) === value);
      if (inSets(sets.accepted)) return true;
      // Of a set that is no longer accepted: reported as such below.
      if (!inSets(sets.revoked) && !inSets(sets.expired))
        problems.push({ code: 'policy.value-unknown', detail: `PCR${index} ${value}` });
      return false;
    }),
  ]);
  for (const set of [...sets.revoked, ...sets.expired]) {
    const compared = bound.filter(([index]) => set.pcrs.has(index));
    const isIn = compared.every(([index, values]) => values.includes(pcrHex(set, index) as string));
    if (compared.length > 0 && isIn)
      problems.push({ code: 'policy.value-revoked', detail: set.label });
  }
  problems.push(...checkCombinations(known, sets), ...checkPinning(bound, sets));
  const admitted = sets.accepted.filter((set) =>
    bound.every(([index, values]) => values.includes(pcrHex(set, index) ?? '')),
  );
  return { admitted, problems };
}

/** Each combination of known values must be that of one accepted set. */
function checkCombinations(
  bound: readonly (readonly [number, readonly string[]])[],
  { accepted }: ManifestSets,
): readonly ConditionProblem[] {
  const count = bound.reduce((product, [, values]) => product * values.length, 1);
  if (count > MAX_COMBINATIONS)
    return [{ code: 'policy.mixes-sets', detail: `${count} combinations` }];
  for (const combination of combinations(bound)) {
    const isOneSet = accepted.some((set) =>
      combination.every(([index, value]) => pcrHex(set, index) === value),
    );
    if (!isOneSet)
      return [
        {
          code: 'policy.mixes-sets',
          detail: combination.map(([index, value]) => `PCR${index} ${value}`).join(' with '),
        },
      ];
  }
  return [];
}

function combinations(
  bound: readonly (readonly [number, readonly string[]])[],
): readonly (readonly (readonly [number, string])[])[] {
  return bound.reduce<readonly (readonly (readonly [number, string])[])[]>(
    (all, [index, values]) =>
      all.flatMap((start) => values.map((value) => [...start, [index, value] as const])),
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
