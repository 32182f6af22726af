import type { Report, StepResult } from '../../src/result/report.js';
import { box, type Child, h, row } from './dom.js';
import { stateMark } from './view-verdict.js';

const NAMES: Readonly<Record<string, string>> = {
  evidence: 'Evidence is read',
  manifest: 'Manifest is read',
  cbor: 'Envelope is well-formed',
  document: 'Document is complete',
  x509: 'Certificates lead to the anchor',
  cose: 'Document is signed',
  quote: 'TPM quote',
  bundle: 'Bundle agrees with what is signed',
  freshness: 'Nonce and age',
  eventlog: 'Event log explains the PCRs',
  pcr: 'PCRs match the manifest',
};

/** Every step with its state, code, checks and hint; what failed is open. */
export function viewSteps(report: Report): HTMLElement {
  return h(
    'ol',
    { class: 'steps' },
    report.steps.map((step) => h('li', {}, viewStep(step, report))),
  );
}

function viewStep({ step, state, code, checks, note }: StepResult, report: Report): HTMLElement {
  const isCause = code !== undefined && report.step === step;
  return box(
    [
      stateMark(state),
      h(
        'span',
        { class: 'summary-text' },
        h('span', { class: 'step-name' }, NAMES[step] ?? step),
        h('code', { class: 'step-code' }, code ?? step),
      ),
    ],
    h(
      'div',
      { class: 'step-body' },
      checks.length > 0 &&
        h(
          'ul',
          {},
          checks.map((check) => h('li', {}, check)),
        ),
      note !== undefined && h('p', {}, note),
      checks.length === 0 && note === undefined && !isCause && h('p', {}, 'Nothing was checked.'),
      isCause &&
        h(
          'dl',
          { class: 'facts' },
          row('Expected', report.expected),
          row('Found', report.actual),
          row('What to do', report.hint),
        ),
    ),
    { id: `step-${step}`, open: isCause, class: state },
  );
}

/** What is proven, and what is not. */
export function viewProof({ proven, notProven }: Report): Child {
  return [
    list('Proven', 'proven', proven, 'Nothing.'),
    list('Not proven', 'not-proven', notProven, 'Nothing is left open.'),
  ];
}

function list(title: string, name: string, items: readonly string[], none: string): HTMLElement {
  return h(
    'section',
    { class: `card ${name}` },
    h('h3', {}, title),
    items.length > 0
      ? h(
          'ul',
          {},
          items.map((item) => h('li', {}, item)),
        )
      : h('p', {}, none),
  );
}
