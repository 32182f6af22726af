import type { Report } from '../../src/result/report.js';
import type { Link } from './chain.js';
import { type Child, h, row } from './dom.js';

/** What the reader must know before believing a verdict. */
export interface Caveats {
  /** The anchor is not AWS's. */
  readonly otherAnchor: boolean;
  /** Checks that were waived. */
  readonly waived: readonly string[];
  /** The manifest was made here, from a file. */
  readonly derived?: boolean;
}

const STATE_WORDS = { passed: 'passed', failed: 'failed', 'not-run': 'not checked' } as const;
const VERDICTS = {
  verified: ['Verified', 'The machine booted what the manifest describes.'],
  unappraised: [
    'Authentic, but not compared',
    'The document is genuine. What the machine booted is open: there is no manifest to compare with.',
  ],
  rejected: ['Rejected', 'Do not trust this evidence.'],
} as const;

/** A state as a sign and a word, so that it never depends on colour. */
export function stateMark(state: keyof typeof STATE_WORDS): Child {
  const word = STATE_WORDS[state];
  return h('span', { class: `mark ${state}`, role: 'img', 'aria-label': word, title: word });
}

/** The verdict with its code, and what was expected. */
export function viewVerdict(report: Report, caveats: Caveats): HTMLElement {
  const [title, text] = VERDICTS[report.verdict];
  const { code, message, expected, actual, hint } = report;
  const meaning = message?.slice(message.indexOf(': ') + 2).split('; expected ')[0];
  return h(
    'div',
    { class: `verdict ${report.verdict}` },
    h(
      'h2',
      { id: 'verdict-title' },
      stateMark(
        report.verdict === 'verified'
          ? 'passed'
          : report.verdict === 'rejected'
            ? 'failed'
            : 'not-run',
      ),
      title,
    ),
    h('p', { class: 'lead' }, code === undefined ? text : capital(`${meaning}.`)),
    code !== undefined &&
      h(
        'dl',
        { class: 'facts' },
        row('Code', h('code', { class: 'code' }, code)),
        row('Expected', expected),
        row('Found', actual),
        row('What to do', hint),
      ),
    report.verdict !== 'rejected' &&
      caveats.otherAnchor &&
      warning('Judged with a trust anchor of your own, not AWS’s: this says nothing about AWS.'),
    report.verdict !== 'rejected' &&
      report.time?.source === 'document' &&
      warning(
        'Judged at the document’s own time: it was good then. That it is fresh is not checked.',
      ),
    report.verdict === 'verified' &&
      caveats.derived === true &&
      warning(
        'The manifest was derived here from a file: it is as good as that file, nobody published it.',
      ),
    report.verdict !== 'rejected' &&
      caveats.waived.length > 0 &&
      warning(`Waived: ${caveats.waived.join(', ')}.`),
  );
}

export function warning(text: string): HTMLElement {
  return h('p', { class: 'warning' }, text);
}

/** The chain of trust as a picture: links in order, each with its state and what it hangs on. */
export function viewChain(links: readonly Link[]): HTMLElement {
  return h(
    'ol',
    { class: 'chain' },
    links.map(({ title, detail, state, by, step }) =>
      h(
        'li',
        { class: `link ${state}` },
        by !== '' && h('span', { class: 'by' }, by),
        h(
          'a',
          { href: `#step-${step}`, class: 'node', onclick: openTarget },
          h('span', { class: 'node-title' }, stateMark(state), title),
          h('span', { class: 'node-detail', title: detail }, detail),
        ),
      ),
    ),
  );
}

/** Opens the step that a link of the picture leads to. */
function openTarget(event: Event): void {
  const { hash } = event.currentTarget as HTMLAnchorElement;
  const target = document.getElementById(hash.slice(1));
  if (!(target instanceof HTMLDetailsElement)) return;
  event.preventDefault();
  target.open = true;
  target.scrollIntoView({ block: 'center' });
  target.querySelector('summary')?.focus({ preventScroll: true });
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
