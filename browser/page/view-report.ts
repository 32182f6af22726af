import type { Report } from '../../src/result/report.js';
import { chainOfTrust } from './chain.js';
import { h } from './dom.js';
import { viewActions } from './report-actions.js';
import { type Shown, viewCertificates, viewFields } from './view-details.js';
import { viewPcrs } from './view-pcrs.js';
import { viewProof, viewSteps } from './view-steps.js';
import { type Caveats, viewChain, viewVerdict } from './view-verdict.js';

/** A whole report: verdict, picture, steps, PCRs, and everything behind them. */
export function viewReport(report: Report, shown: Shown, caveats: Caveats): HTMLElement {
  const { described } = shown;
  return h(
    'div',
    { class: 'report' },
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'verdict-title' },
      viewVerdict(report, caveats),
      viewActions(report),
    ),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'chain-title' },
      h('h3', { id: 'chain-title' }, 'Chain of trust'),
      viewChain(chainOfTrust(report, described)),
    ),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'pcrs-title' },
      h('h3', { id: 'pcrs-title' }, 'Measurements (PCRs, SHA-384)'),
      viewPcrs(report, described),
    ),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'steps-title' },
      h('h3', { id: 'steps-title' }, 'Step by step'),
      viewSteps(report),
    ),
    h('div', { class: 'columns' }, viewProof(report)),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'certificates-title' },
      h('h3', { id: 'certificates-title' }, 'Certificates'),
      viewCertificates(report, shown),
    ),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'fields-title' },
      h('h3', { id: 'fields-title' }, 'Fields'),
      viewFields(report, shown),
    ),
  );
}
