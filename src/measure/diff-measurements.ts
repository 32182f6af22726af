import { type AlignedPair, alignEvents } from './align-events.js';
import type { ExplainableEvent } from './explain-pcr-mismatch.js';

/** One measurement set, as far as comparing needs it. */
export interface ComparableSet {
  /** PCR index → lower-case hex. */
  readonly pcrs: ReadonlyMap<number, string>;
  readonly events: readonly ExplainableEvent[];
}

/** How one PCR differs between two measurement sets. */
export interface PcrDifference {
  readonly pcr: number;
  /** Undefined when the set does not pin this PCR. */
  readonly before: string | undefined;
  readonly after: string | undefined;
  /** The events that differ; empty when a set lists none. */
  readonly events: readonly AlignedPair<ExplainableEvent, ExplainableEvent>[];
}

/** The PCRs that differ between two measurement sets, and the events that make them differ. */
export function diffMeasurements(before: ComparableSet, after: ComparableSet): PcrDifference[] {
  const indexes = [...new Set([...before.pcrs.keys(), ...after.pcrs.keys()])].sort((a, b) => a - b);
  return indexes.flatMap((pcr) => {
    const [a, b] = [before.pcrs.get(pcr), after.pcrs.get(pcr)];
    if (a === b) return [];
    const of = ({ events }: ComparableSet): ExplainableEvent[] =>
      events.filter((event) => event.pcr === pcr);
    const comparable =
      a !== undefined && b !== undefined && before.events.length + after.events.length > 0;
    const pairs = comparable ? alignEvents(of(before), of(after)) : [];
    return [{ pcr, before: a, after: b, events: pairs.filter(({ change }) => change !== 'same') }];
  });
}
