import { AttestationError } from '../../src/result/attestation-error.js';
import { requireAttestedKey } from '../attested-key.js';
import { fetchAndVerify } from '../fetch-and-verify.js';
import { byId, fill, h, row } from '../page/dom.js';
import { viewReport } from '../page/view-report.js';

/** The machines of scripts/demo-web.mjs. */
const MACHINES = [
  ['genuine', 'A genuine machine'],
  ['other-image', 'A machine that booted something else'],
  ['replay', 'A recorded answer'],
  ['stranger', 'A machine without AWS’s (or our) certificate'],
  ['other-key', 'A genuine machine behind a man in the middle'],
  ['silent', 'A machine that does not answer'],
] as const;
const TIME_LIMIT_SECONDS = 3;

let asked = new AbortController();

/** The status is said last: who waits for it finds everything shown. */
async function ask(machine: string): Promise<void> {
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  fill('key');
  fill('result');
  byId('status').textContent = 'Asking …';
  const from = performance.now();
  try {
    const [manifest, root] = await Promise.all([
      (await fetch('/manifest.json', { signal })).json(),
      (await fetch('/root.pem', { signal })).text(),
    ]);
    const claims = await fetchAndVerify(`/attest?machine=${machine}`, manifest, {
      trustAnchors: [root],
      timeLimitSeconds: TIME_LIMIT_SECONDS,
      requireQuote: true,
      signal,
    });
    signal.throwIfAborted();
    const took = Math.round(performance.now() - from);
    fill('result', viewReport(claims.report, { described: undefined, certificates: [] }, CAVEATS));
    // Verified is not enough: what follows must go to this machine and to nobody else.
    const presented = await (await fetch(`/session-key?machine=${machine}`, { signal })).json();
    const key = await requireAttestedKey(claims, presented, 'userData');
    signal.throwIfAborted();
    showKey(`The machine’s session key (${key.type}) is the attested one: seal secrets to it.`);
    byId('status').textContent = `verified, ${took} ms with the request.`;
  } catch (error) {
    if (signal.aborted) return; // another machine was asked meanwhile
    if (!(error instanceof AttestationError)) {
      byId('status').textContent = 'The server of this demo did not answer.';
      throw error;
    }
    const { code, message, hint, report } = error;
    if (report !== undefined)
      fill('result', viewReport(report, { described: undefined, certificates: [] }, CAVEATS));
    else if (code.startsWith('binding.')) showKey(message, hint);
    else fill('result', problem(message, hint));
    byId('status').textContent = `rejected: ${code}.`;
  }
}

const CAVEATS = { otherAnchor: true, waived: [] };

function showKey(text: string, hint?: string): void {
  fill('key', hint === undefined ? h('p', { class: 'card' }, text) : problem(text, hint));
}

function problem(message: string, hint: string): HTMLElement {
  return h(
    'div',
    { class: 'card' },
    h('p', { class: 'problem' }, message),
    h('dl', { class: 'facts' }, row('What to do', hint)),
  );
}

fill(
  'machines',
  MACHINES.map(([machine, title]) =>
    h('button', { type: 'button', class: 'sample', onclick: () => void ask(machine) }, title),
  ),
);
