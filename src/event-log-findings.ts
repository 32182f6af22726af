import type { Bytes } from './bytes/bytes.js';
import type { Engine } from './crypto/engine.js';
import { type Flow, wait } from './crypto/flow.js';
import type { ReferenceManifest } from './manifest/reference-manifest.js';
import type { ExplainMismatch } from './measure/explain-evidence.js';
import type { VerifiedDocument } from './nitro/document.js';
import type { EventLogFindings } from './result/event-log-report.js';
import type { Note } from './result/note.js';

/** What a log and a manifest's events have to say about the signed PCRs. */
export interface Explanation {
  readonly findings: EventLogFindings | undefined;
  readonly explain: ExplainMismatch | undefined;
}

/**
 * Replays a bundle's event log against the signed PCRs and prepares to explain a mismatch. It only
 * explains: the verdict never depends on it. The code is loaded when there is a log, or a manifest
 * with events; not in synchronous verification, which cannot wait for it.
 */
export function* explainByEvents(
  eventLog: Bytes | undefined,
  document: VerifiedDocument,
  manifest: ReferenceManifest | undefined,
  engine: Engine,
  note: Note,
): Flow<Explanation> {
  const hasEvents = manifest?.sets.some(({ events }) => events.length > 0) ?? false;
  if ((eventLog === undefined && !hasEvents) || engine.isSynchronous)
    return { findings: undefined, explain: undefined };
  const { explainEvidence } = yield* wait(import('./measure/explain-evidence.js'));
  return yield* explainEvidence(eventLog, document.pcrs, engine.digest, note);
}
