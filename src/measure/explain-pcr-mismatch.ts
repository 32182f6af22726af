import { encodeHex } from '../bytes/hex.js';
import { type Flow, runFlow } from '../crypto/flow.js';
import { alignEvents } from './align-events.js';
import type { BankName } from './bank-algorithms.js';
import { checkEventDataFlow, type EventDataCheck } from './check-event-data.js';
import { decodeEvent } from './decode-event.js';
import type { EventLog } from './event-log.js';
import { EVENT_TYPE } from './event-types.js';
import type { DigestFunction } from './replay-event-log.js';
import { printable } from './text.js';

/** An event of a manifest or of a log, as far as explaining needs it. */
export interface ExplainableEvent {
  readonly pcr: number;
  /** Lower-case hex. */
  readonly digest: string;
  /** One line for people. */
  readonly description: string;
  /** Of an event of a log: whether its digest proves what the log says about it. */
  readonly proof?: EventDataCheck;
}

const MAX_SENTENCES = 16;

/**
 * The extends that a log tells of, in one bank, as events to explain a mismatch with. What they say
 * is read when it is asked for.
 */
export function explainableEvents(
  log: EventLog,
  digest: DigestFunction,
  bank: BankName = 'sha384',
): Promise<ExplainableEvent[]> {
  return runFlow(explainableEventsFlow(log, digest, () => true, bank));
}

/** The same as a flow, for some PCRs. */
export function* explainableEventsFlow(
  log: EventLog,
  digest: DigestFunction,
  isWanted: (pcr: number) => boolean,
  bank: BankName = 'sha384',
): Flow<ExplainableEvent[]> {
  const events: ExplainableEvent[] = [];
  for (const event of log.events) {
    const value = event.digests.get(bank);
    if (event.type === EVENT_TYPE.EV_NO_ACTION || value === undefined || !isWanted(event.pcr))
      continue;
    const { check, proven = event } = yield* checkEventDataFlow(event, bank, digest);
    events.push({
      pcr: event.pcr,
      digest: encodeHex(value),
      proof: check,
      get description(): string {
        return decodeEvent(proven).summary;
      },
    });
  }
  return events;
}

/**
 * Sentences that say why a PCR differs from a manifest's measurement set: which event of the set
 * the machine measured differently, did not measure, or measured besides. Without the events of a
 * log that explains the signed PCR, only what the manifest expects can be said.
 *
 * The events only explain: they never decide whether a PCR is accepted.
 */
export function explainPcrMismatch(
  pcr: number,
  setEvents: readonly ExplainableEvent[],
  loggedEvents?: readonly ExplainableEvent[],
): string[] {
  const expected = setEvents.filter((event) => event.pcr === pcr);
  if (loggedEvents === undefined) return [withoutLog(pcr, expected)];
  const measured = loggedEvents.filter((event) => event.pcr === pcr);
  const pairs = alignEvents(expected, measured).filter(({ change }) => change !== 'same');
  const sentences: string[] = [];
  for (const pair of pairs.slice(0, MAX_SENTENCES)) {
    if (pair.change === 'changed')
      sentences.push(
        `PCR${pcr} differs: ${name(pair.before)} is ${pair.after.digest} (${says(
          pair.after,
        )}), the manifest\u2019s image has ${pair.before.digest}`,
      );
    else if (pair.change === 'removed')
      sentences.push(
        `PCR${pcr} differs: the machine did not measure ${name(pair.before)}, ${pair.before.digest} in the manifest`,
      );
    else if (pair.change === 'added')
      sentences.push(
        `PCR${pcr} differs: the machine measured ${pair.after.digest} (${says(
          pair.after,
        )}), the manifest has nothing there`,
      );
  }
  if (sentences.length === 0)
    return [
      `PCR${pcr} differs, although the log has the manifest\u2019s events: see the log\u2019s replay`,
    ];
  const more = pairs.length - MAX_SENTENCES;
  return more > 0 ? [...sentences, `PCR${pcr}: ${more} more differences`] : sentences;
}

/** What a log says about a digest; nobody need believe what the digest does not prove. */
function says(event: ExplainableEvent): string {
  if (event.proof === 'differs') return 'what the log says about it does not match this digest';
  if (event.proof === 'elsewhere') return `labelled in the log, unproven: ${name(event)}`;
  return `the log says ${name(event)}`;
}

function withoutLog(pcr: number, expected: readonly ExplainableEvent[]): string {
  const hint = 'which event changed can only be told from the event log';
  if (expected.length === 0)
    return `PCR${pcr} differs: the manifest expects that nothing is measured there; ${hint}`;
  const names = expected.slice(0, MAX_SENTENCES).map(name);
  const more = expected.length > names.length ? ', \u2026' : '';
  return `PCR${pcr} differs: the manifest\u2019s image measures ${names.join(', ')}${more}; ${hint}`;
}

/** Descriptions come from files: nothing in them may reach a terminal unescaped. */
const name = ({ description }: ExplainableEvent): string => printable(description, 160);
