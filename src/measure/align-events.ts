/** How two lists of events relate at one place. */
export type AlignedPair<A, B> =
  | { readonly change: 'same' | 'changed'; readonly before: A; readonly after: B }
  | { readonly change: 'removed'; readonly before: A }
  | { readonly change: 'added'; readonly after: B };

const MAX_CELLS = 1_000_000;

/**
 * Lays two lists of events over each other by their digests: common ones stay in order, what
 * stands between them is changed, removed or added.
 */
export function alignEvents<A extends { digest: string }, B extends { digest: string }>(
  before: readonly A[],
  after: readonly B[],
): AlignedPair<A, B>[] {
  let start = 0;
  while (start < Math.min(before.length, after.length) && equal(before[start], after[start]))
    start++;
  let end = 0;
  const shorter = Math.min(before.length, after.length) - start;
  while (end < shorter && equal(before[before.length - 1 - end], after[after.length - 1 - end]))
    end++;
  const beforeMiddle = before.slice(start, before.length - end);
  const afterMiddle = after.slice(start, after.length - end);
  return [
    ...pairUp(before.slice(0, start), after.slice(0, start), 'same'),
    ...alignMiddle(beforeMiddle, afterMiddle),
    ...pairUp(before.slice(before.length - end), after.slice(after.length - end), 'same'),
  ];
}

/** By the longest common subsequence, or by position when the lists are too long for it. */
function alignMiddle<A extends { digest: string }, B extends { digest: string }>(
  before: readonly A[],
  after: readonly B[],
): AlignedPair<A, B>[] {
  if (before.length * after.length > MAX_CELLS) return pairUp(before, after, 'changed');
  const width = after.length + 1;
  const lengths = new Uint32Array((before.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] as number;
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      lengths[i * width + j] = equal(before[i], after[j])
        ? at(i + 1, j + 1) + 1
        : Math.max(at(i + 1, j), at(i, j + 1));
  const pairs: AlignedPair<A, B>[] = [];
  let [i, j, fromI, fromJ] = [0, 0, 0, 0];
  while (i < before.length && j < after.length) {
    if (equal(before[i], after[j])) {
      pairs.push(...pairUp(before.slice(fromI, i), after.slice(fromJ, j), 'changed'));
      pairs.push({ change: 'same', before: before[i] as A, after: after[j] as B });
      [fromI, fromJ] = [++i, ++j];
    } else if (at(i + 1, j) >= at(i, j + 1)) i++;
    else j++;
  }
  return [...pairs, ...pairUp(before.slice(fromI), after.slice(fromJ), 'changed')];
}

/** Pairs by position; what is left over was removed or added. */
function pairUp<A, B>(
  before: readonly A[],
  after: readonly B[],
  change: 'same' | 'changed',
): AlignedPair<A, B>[] {
  const pairs: AlignedPair<A, B>[] = [];
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    const [a, b] = [before[i], after[i]];
    if (a === undefined) pairs.push({ change: 'added', after: b as B });
    else if (b === undefined) pairs.push({ change: 'removed', before: a });
    else pairs.push({ change, before: a, after: b });
  }
  return pairs;
}

function equal(a?: { digest: string }, b?: { digest: string }): boolean {
  return a !== undefined && a.digest === b?.digest;
}
