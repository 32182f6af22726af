import type { Flow } from '../crypto/flow.js';
import { AttestationError, reject } from '../result/attestation-error.js';
import type { EventLogFindings } from '../result/event-log-report.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import type { Note } from '../result/note.js';
import { type EventLog, parseEventLog } from './event-log.js';
import {
  type ExplainableEvent,
  explainableEventsFlow,
  explainPcrMismatch,
} from './explain-pcr-mismatch.js';
import { explainPcrsFlow } from './explain-pcrs.js';
import type { DigestFunction } from './replay-event-log.js';

/** Real logs have up to two hundred; each costs a digest, and anybody may have written the log. */
const MAX_EVENTS = 2048;

/** Explains a PCR that differs from a measurement set with these events. */
export type ExplainMismatch = (pcr: number, setEvents: readonly ExplainableEvent[]) => string[];

/**
 * Replays the event log of a bundle against signed PCRs, and prepares to explain a mismatch by it.
 * Events of a PCR whose replay does not give the signed value are not used: anybody may have
 * written them. A log that can't be read is a finding, not an error: logs explain, they decide
 * nothing.
 */
export function* explainEvidence(
  bytes: Uint8Array | undefined,
  pcrs: ReadonlyMap<number, Uint8Array>,
  digest: DigestFunction,
  note: Note,
): Flow<{ findings: EventLogFindings | undefined; explain: ExplainMismatch }> {
  let proven: readonly ExplainableEvent[] | undefined;
  let findings: EventLogFindings | undefined;
  if (bytes !== undefined)
    try {
      const log: EventLog = parseEventLog(bytes);
      if (log.events.length > MAX_EVENTS)
        reject(
          MEASUREMENT_CODES['eventlog.limit-exceeded'],
          `at most ${MAX_EVENTS} events in a bundle`,
          `${log.events.length}`,
        );
      const explanations = yield* explainPcrsFlow(log, pcrs, digest);
      findings = { eventCount: log.events.length, pcrs: explanations };
      const explained = new Set(explanations.filter((one) => one.explained).map(({ pcr }) => pcr));
      proven = yield* explainableEventsFlow(log, digest, (pcr) => explained.has(pcr));
      const open = explanations.filter((one) => !one.explained);
      note(
        `${explanations.length - open.length} of ${explanations.length} PCRs explained by ${log.events.length} events`,
      );
      for (const { pcr, note: why } of open) note(`PCR${pcr} not explained: ${why}`);
    } catch (error) {
      if (!(error instanceof AttestationError) || error.step !== 'eventlog') throw error;
      findings = { code: error.code, message: error.message };
    }
  return {
    findings,
    explain: (pcr, setEvents) => {
      const logged = proven?.some((event) => event.pcr === pcr) ? proven : undefined;
      return explainPcrMismatch(pcr, setEvents, logged);
    },
  };
}
