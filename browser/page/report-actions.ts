import type { Report } from '../../src/result/report.js';
import { h } from './dom.js';

/** Buttons that copy, save and print a report. */
export function viewActions(report: Report): HTMLElement {
  const json = (): string => JSON.stringify(report, undefined, 2);
  const said = h('span', { class: 'muted', role: 'status' });
  return h(
    'div',
    { class: 'actions' },
    h(
      'button',
      {
        type: 'button',
        onclick: () =>
          void copy(json()).then((copied) => {
            said.textContent = copied ? 'Copied.' : 'This browser does not let the page copy.';
          }),
      },
      'Copy report (JSON)',
    ),
    h('button', { type: 'button', onclick: () => save(json()) }, 'Download report'),
    h('button', { type: 'button', onclick: () => print() }, 'Print'),
    said,
  );
}

/** The clipboard needs a secure origin; the old way works without. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h('textarea', { class: 'unseen' });
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    return copied;
  }
}

function save(text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = h('a', { href: url, download: 'attestation-report.json' });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
