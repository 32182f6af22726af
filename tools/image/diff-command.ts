import { Command } from 'commander';
import {
  type ComparableSet,
  diffMeasurements,
  type ExplainableEvent,
  extendAll,
  type PcrDifference,
  printable,
} from 'tee-verify/measure';
import { EXIT, writeOutput } from '../common/command-line.js';
import { createNodeHasher } from '../common/file-source.js';
import { isObject, type JsonObject } from '../common/json-object.js';
import { malformed, readJsonObject, readPcrs } from './read-json.js';

const MAX_SETS = 1024;
const MAX_EVENTS = 65_536;

/** `tee-image diff`: says which events differ between two manifests, and hence which PCRs. */
export function diffCommand(): Command {
  return new Command('diff')
    .description('say which event changed between two manifests, and hence which PCR')
    .argument('<before>', 'a manifest: of this project, or of AWS ({"Measurements": …})')
    .argument('<after>', 'another one')
    .option('--json', 'write JSON')
    .addHelpText(
      'after',
      `
Measurement sets are compared by their labels; two manifests with one set each are compared
whatever the labels. Only manifests of this project list events; they must replay to their PCRs.

Example:
  tee-image diff v1.manifest.json v2.manifest.json

Exit status: 0 the same PCRs, 1 differences or an unreadable manifest, 2 usage,
unreadable or unwritable file.`,
    )
    .action(runDiff);
}

interface SetDifference {
  /** Fit for a terminal. */
  readonly label: string;
  readonly onlyIn?: 'before' | 'after';
  readonly pcrs: readonly PcrDifference[];
}

async function runDiff(
  beforePath: string,
  afterPath: string,
  { json = false }: { json?: boolean },
): Promise<void> {
  const before = readSets(beforePath, await readJsonObject(beforePath));
  const after = readSets(afterPath, await readJsonObject(afterPath));
  const differences = diffSets(before, after);
  if (differences.length > 0) process.exitCode = EXIT.failed;
  if (json) await writeOutput(undefined, `${JSON.stringify(differences, null, 2)}\n`);
  else await writeOutput(undefined, differences.map(formatSet).join('') || 'no difference\n');
}

function diffSets(
  before: ReadonlyMap<string, ComparableSet>,
  after: ReadonlyMap<string, ComparableSet>,
): SetDifference[] {
  const [[beforeLabel, onlyBefore] = [], [afterLabel, onlyAfter] = []] = [
    [...before][0],
    [...after][0],
  ];
  if (before.size === 1 && after.size === 1 && onlyBefore && onlyAfter) {
    const names = [...new Set([`${beforeLabel}`, `${afterLabel}`])].map((name) => printable(name));
    const label = names.join(' \u2192 ');
    const pcrs = diffMeasurements(onlyBefore, onlyAfter);
    return pcrs.length === 0 ? [] : [{ label, pcrs }];
  }
  const differences: SetDifference[] = [];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [a, b] = [before.get(key), after.get(key)];
    const label = printable(key);
    if (a === undefined) differences.push({ label, onlyIn: 'after', pcrs: [] });
    else if (b === undefined) differences.push({ label, onlyIn: 'before', pcrs: [] });
    else {
      const pcrs = diffMeasurements(a, b);
      if (pcrs.length > 0) differences.push({ label, pcrs });
    }
  }
  return differences;
}

function formatSet({ label, onlyIn, pcrs }: SetDifference): string {
  if (onlyIn !== undefined)
    return `${label}: only in the ${onlyIn === 'before' ? 'first' : 'second'}\n`;
  const lines = [`${label}:`];
  for (const { pcr, before, after, events } of pcrs) {
    lines.push(`  PCR${pcr}`, `    - ${before ?? 'not pinned'}`, `    + ${after ?? 'not pinned'}`);
    for (const pair of events) {
      if ('before' in pair) lines.push(`      - ${formatEvent(pair.before)}`);
      if ('after' in pair) lines.push(`      + ${formatEvent(pair.after)}`);
    }
    if (events.length === 0 && before !== undefined && after !== undefined)
      lines.push('      (no list of events to compare)');
  }
  return `${lines.join('\n')}\n`;
}

const formatEvent = ({ digest, description }: ExplainableEvent): string =>
  `${digest.slice(0, 16)}\u2026  ${printable(description)}`;

/** The measurement sets of a manifest by label. */
function readSets(path: string, manifest: JsonObject): Map<string, ComparableSet> {
  if (manifest.measurementSets === undefined) {
    const measurements = isObject(manifest.Measurements) ? manifest.Measurements : manifest;
    return new Map([['measurements', { pcrs: readPcrs(path, measurements), events: [] }]]);
  }
  const list = manifest.measurementSets;
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_SETS)
    throw malformed(path, `1 to ${MAX_SETS} measurementSets`, 'something else');
  const sets = new Map<string, ComparableSet>();
  for (const set of list as readonly unknown[]) {
    if (
      !isObject(set) ||
      typeof set.label !== 'string' ||
      !isObject(set.pcrs) ||
      sets.has(set.label)
    )
      throw malformed(
        path,
        'measurement sets with label and pcrs, each label once',
        'something else',
      );
    const pcrs = readPcrs(path, set.pcrs);
    const events = readEvents(path, set.events);
    checkReplay(path, pcrs, events);
    sets.set(set.label, { pcrs, events });
  }
  return sets;
}

/** Events that don't make their PCRs would blame the wrong one (docs/manifest.md). */
function checkReplay(
  path: string,
  pcrs: ReadonlyMap<number, string>,
  events: readonly ExplainableEvent[],
): void {
  for (const [pcr, value] of pcrs) {
    const digests = events.filter((event) => event.pcr === pcr).map(({ digest }) => digest);
    if (digests.length === 0) continue;
    const replayed = extendAll(digests, createNodeHasher);
    if (replayed !== value)
      throw malformed(path, `events whose replay is PCR${pcr}, ${value}`, replayed);
  }
}

function readEvents(path: string, events: unknown = []): ExplainableEvent[] {
  if (!Array.isArray(events) || events.length > MAX_EVENTS)
    throw malformed(path, `at most ${MAX_EVENTS} events`, 'something else');
  return (events as readonly unknown[]).map((event) => {
    const { pcr, digest, description } = isObject(event) ? event : {};
    if (typeof pcr !== 'number' || typeof digest !== 'string' || typeof description !== 'string')
      throw malformed(path, 'events with pcr, digest and description', 'something else');
    return { pcr, digest: digest.toLowerCase(), description };
  });
}
