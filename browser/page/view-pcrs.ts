import type { EvidenceDescription } from '../../src/describe-evidence.js';
import { pcrMeaning } from '../../src/nitro/pcr-meaning.js';
import type { Report } from '../../src/result/report.js';
import { box, type Child, h } from './dom.js';
import { stateMark } from './view-verdict.js';

interface PcrRow {
  readonly index: number;
  readonly meaning: string;
  readonly actual: string | undefined;
  readonly expected: string | undefined;
}

const GROUP = 8;

/** The pinned PCRs beside the signed ones, differences marked; the others in a box below. */
export function viewPcrs(report: Report, described: EvidenceDescription | undefined): Child {
  const { claims, appraisal } = report;
  const shown = claims ?? described;
  if (shown === undefined) return h('p', { class: 'muted' }, 'The evidence could not be read.');
  const pinned: PcrRow[] = (appraisal?.pcrs ?? []).map((one) => one);
  const others = Object.entries(shown.pcrs)
    .map(([key, actual]) => ({ index: Number(key), actual }))
    .filter(({ index }) => !pinned.some((one) => one.index === index))
    .map(
      ({ index, actual }): PcrRow => ({
        index,
        actual,
        meaning: pcrMeaning(shown.platform, index),
        expected: undefined,
      }),
    );
  return [
    claims === undefined &&
      h(
        'p',
        { class: 'warning' },
        'Nobody has proven these values: the document is not authentic.',
      ),
    pinned.length > 0 && table(`Pinned by “${appraisal?.label ?? ''}”`, pinned),
    appraisal !== undefined &&
      appraisal.explanation.length > 0 &&
      h(
        'ul',
        { class: 'explanation' },
        appraisal.explanation.map((line) => h('li', {}, line)),
      ),
    others.length > 0 &&
      box(
        pinned.length > 0
          ? `${others.length} other PCRs, not compared`
          : `${others.length} PCRs, not compared`,
        table('Not compared', others),
        { open: pinned.length === 0 },
      ),
    viewEventLog(report),
  ];
}

function table(caption: string, rows: readonly PcrRow[]): HTMLElement {
  return h(
    'table',
    { class: 'pcrs' },
    h('caption', {}, caption),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        ['PCR', 'What it measures', 'Value', 'Result'].map((name) =>
          h('th', { scope: 'col' }, name),
        ),
      ),
    ),
    h('tbody', {}, rows.map(viewRow)),
  );
}

function viewRow({ index, meaning, actual, expected }: PcrRow): HTMLElement {
  const matches = expected === actual;
  const state = expected === undefined ? 'not-run' : matches ? 'passed' : 'failed';
  return h(
    'tr',
    { class: state, id: `pcr-${index}` },
    h('th', { scope: 'row' }, `${index}`),
    h('td', { class: 'meaning' }, meaning),
    h(
      'td',
      { class: 'value' },
      expected !== undefined && !matches
        ? [
            line('Expected', expected, actual),
            line('Signed', actual ?? 'not in the document', expected),
          ]
        : line('', actual ?? '', actual),
    ),
    h(
      'td',
      { class: 'result' },
      expected === undefined
        ? h('span', { class: 'muted' }, '–', h('span', { class: 'unseen' }, 'not compared'))
        : [stateMark(state), matches ? 'matches' : 'differs'],
    ),
  );
}

/** A value in groups of eight digits; the groups that differ are marked. */
function line(label: string, value: string, other: string | undefined): HTMLElement {
  const groups = value.match(new RegExp(`.{1,${GROUP}}`, 'g')) ?? [];
  const isHex = /^[0-9a-f]+$/.test(value);
  return h(
    'div',
    { class: 'hex' },
    label !== '' && h('span', { class: 'hex-label' }, label),
    h(
      'code',
      {},
      isHex
        ? groups.map((group, i) => [
            group === other?.slice(i * GROUP, (i + 1) * GROUP) ? group : h('mark', {}, group),
            ' ',
          ])
        : value,
    ),
  );
}

function viewEventLog({ eventLog }: Report): Child {
  if (eventLog === undefined) return undefined;
  if (!('pcrs' in eventLog))
    return h('p', { class: 'muted' }, `The event log says nothing: ${eventLog.message}`);
  const good = eventLog.pcrs.filter(({ explained }) => explained).length;
  return box(
    `Event log: ${good} of ${eventLog.pcrs.length} PCRs explained by ${eventLog.eventCount} events`,
    h(
      'ul',
      {},
      eventLog.pcrs.map(({ pcr, explained, eventCount, note }) =>
        h(
          'li',
          {},
          `PCR${pcr}: ${explained ? `explained by ${eventCount} events` : `not explained${note === undefined ? '' : ` (${note})`}`}`,
        ),
      ),
    ),
  );
}
