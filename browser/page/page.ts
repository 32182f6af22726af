import { inspectAttestation } from '../../src/inspect-attestation.js';
import { AttestationError } from '../../src/result/attestation-error.js';
import { byId, fill, h } from './dom.js';
import { type Given, type Loaded, readInput, type Slot } from './inputs.js';
import { readShown } from './read-shown.js';
import { listSamples, type Sample } from './samples.js';
import { readSettings } from './settings.js';
import { viewReport } from './view-report.js';

const loaded: Partial<Record<'evidence' | 'manifest', Loaded>> = {};
/** Counts what was started: only the newest answer is shown. */
let newest = 0;
/** Counts new beginnings: what was still being read before one no longer counts. */
let beginnings = 0;

/** Verifies what is there, and shows the report. */
async function update(): Promise<void> {
  const mine = ++newest;
  showInputs();
  const { evidence, manifest } = loaded;
  const settings = readSettings();
  if (evidence === undefined || settings === undefined) {
    fill('result');
    byId('welcome').hidden = evidence !== undefined;
    say(settings === undefined ? 'A setting is not valid.' : '');
    return;
  }
  byId('welcome').hidden = true;
  try {
    const report = await inspectAttestation(evidence.content, manifest?.content, settings.options);
    if (mine !== newest) return;
    const caveats = { ...settings.caveats, derived: manifest?.isDerived === true };
    fill('result', viewReport(report, readShown(evidence.content), caveats));
    say(report.code === undefined ? `${report.verdict}.` : `${report.verdict}: ${report.code}.`);
  } catch (error) {
    if (mine !== newest) return;
    fill(
      'result',
      h('p', { class: 'card problem' }, `The verifier did not run: ${messageOf(error)}`),
    );
    say('The verifier did not run.');
  }
}

/** For screen readers: the outcome in one sentence. */
function say(text: string): void {
  byId('status').textContent = text;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Reads inputs, then verifies once. */
async function take(inputs: readonly Given[], slot: Slot): Promise<void> {
  const mine = beginnings;
  const large = inputs.find((input) => typeof input !== 'string' && input.size > 1_000_000);
  if (large !== undefined) say(`Reading ${(large as File).name} …`);
  const results = await Promise.allSettled(inputs.map((input) => readInput(input, slot)));
  if (mine !== beginnings) return;
  let problem = '';
  for (const result of results) {
    if (result.status === 'fulfilled') put(...result.value);
    else {
      const error: unknown = result.reason;
      problem = `${messageOf(error)}.${error instanceof AttestationError ? ` ${error.hint}` : ''}`;
    }
  }
  await update();
  byId('input-problem').textContent = problem;
}

function put(slot: Slot, input: Loaded): void {
  if (slot === 'evidence' || slot === 'manifest') loaded[slot] = input;
  else {
    const { content } = input;
    byId<HTMLTextAreaElement>(slot).value =
      typeof content === 'string' ? content : new TextDecoder().decode(content);
    byId<HTMLDetailsElement>('more').open = true;
  }
}

/** Says what is loaded, in each of the two boxes. */
function showInputs(): void {
  byId('input-problem').textContent = '';
  for (const slot of ['evidence', 'manifest'] as const) {
    const input = loaded[slot];
    const had = byId(`${slot}-text`) === document.activeElement;
    byId(`${slot}-box`).classList.toggle('full', input !== undefined);
    fill(
      `${slot}-loaded`,
      input !== undefined && [
        h('span', { class: 'file' }, input.label),
        h(
          'button',
          {
            type: 'button',
            'aria-label': `Remove the ${slot}`,
            onclick: () => {
              delete loaded[slot];
              byId(`${slot}-file`).focus();
              void update();
            },
          },
          'Remove',
        ),
        input.notes.map((note) => h('p', { class: 'muted' }, note)),
      ],
    );
    // The field goes away: whoever worked in it by keyboard stays in its place.
    if (had && input !== undefined) byId(`${slot}-loaded`).querySelector('button')?.focus();
  }
}

function useSample(sample: Sample): void {
  beginnings++;
  loaded.evidence = { label: `Sample: ${sample.title}`, content: sample.evidence, notes: [] };
  loaded.manifest = { label: 'Sample manifest', content: sample.manifest, notes: [] };
  byId<HTMLInputElement>('nonce').value = sample.nonce;
  byId<HTMLTextAreaElement>('anchor').value = sample.anchor;
  byId<HTMLInputElement>(sample.atDocumentTime ? 'time-document' : 'time-clock').checked = true;
  void update();
}

/** Judges a sample and shows it nowhere. */
async function warmUp(): Promise<void> {
  const [{ evidence, manifest, anchor }] = listSamples() as [Sample];
  const report = await inspectAttestation(evidence, manifest, {
    now: 'document',
    trustAnchors: [anchor],
    chainMemory: false,
  });
  viewReport(report, readShown(evidence), { otherAnchor: true, waived: [] });
}

function listen(): void {
  for (const slot of ['evidence', 'manifest'] as const) {
    const area = byId(`${slot}-box`);
    const text = byId<HTMLTextAreaElement>(`${slot}-text`);
    const file = byId<HTMLInputElement>(`${slot}-file`);
    file.addEventListener('change', () => {
      const files = [...(file.files ?? [])];
      file.value = '';
      if (files.length > 0) void take(files, slot);
    });
    const takeText = (): void => {
      const { value } = text;
      text.value = '';
      if (value.trim() !== '') void take([value], slot);
    };
    text.addEventListener('change', takeText);
    // What is pasted stands in the field only after the event.
    text.addEventListener('paste', () => setTimeout(takeText));
    area.addEventListener('drop', (event) => drop(event, slot));
  }
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    document.body.classList.add('dragging');
  });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) document.body.classList.remove('dragging');
  });
  document.addEventListener('drop', (event) => drop(event, 'evidence'));
  byId('settings').addEventListener('input', () => void update());
  byId('clear').addEventListener('click', () => {
    beginnings++;
    delete loaded.evidence;
    delete loaded.manifest;
    byId<HTMLFormElement>('settings').reset();
    void update();
  });
}

function drop(event: DragEvent, slot: Slot): void {
  event.preventDefault();
  event.stopPropagation();
  document.body.classList.remove('dragging');
  const files = [...(event.dataTransfer?.files ?? [])];
  const text = event.dataTransfer?.getData('text/plain') ?? '';
  if (files.length > 0) void take(files, slot);
  else if (text !== '') void take([text], slot);
}

fill(
  'samples',
  listSamples().map((sample) =>
    h(
      'button',
      { type: 'button', class: 'sample', onclick: () => useSample(sample) },
      h('span', {}, sample.title),
      h('code', {}, sample.outcome),
    ),
  ),
);
listen();
void update();
// Once everything has run, the first real verdict comes at once; a page has time before a drop.
setTimeout(() => void warmUp(), 50);
