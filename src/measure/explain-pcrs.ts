import { equalBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { type Flow, runFlow } from '../crypto/flow.js';
import type { PcrExplanation } from '../result/event-log-report.js';
import type { BankName } from './bank-algorithms.js';
import type { EventLog } from './event-log.js';
import { type DigestFunction, replay } from './replay-event-log.js';

export type { PcrExplanation };

/**
 * Replays a log against **signed** PCR values (index → bytes) and says for each whether the log
 * explains it. A log only explains PCRs: compare the signed values with a manifest in any case.
 *
 * PCRs beyond 23, which enclaves have, are not a TPM's and are left out. Throws
 * `eventlog.bank-missing`.
 */
export function explainPcrs(
  log: EventLog,
  signedPcrs: ReadonlyMap<number, Uint8Array>,
  digest: DigestFunction,
  bank: BankName = 'sha384',
): Promise<readonly PcrExplanation[]> {
  return runFlow(explainPcrsFlow(log, signedPcrs, digest, bank));
}

/** The same as a flow, for callers that are flows themselves. */
export function* explainPcrsFlow(
  log: EventLog,
  signedPcrs: ReadonlyMap<number, Uint8Array>,
  digest: DigestFunction,
  bank: BankName = 'sha384',
): Flow<readonly PcrExplanation[]> {
  const replayed = yield* replay(log, bank, digest);
  const explanations: PcrExplanation[] = [];
  for (const [pcr, signed] of [...signedPcrs].sort(([a], [b]) => a - b)) {
    const outcome = replayed[pcr];
    if (outcome === undefined) continue;
    const explained = equalBytes(outcome.value, signed);
    explanations.push({
      pcr,
      explained,
      eventCount: outcome.eventCount,
      signed: encodeHex(signed),
      replayed: encodeHex(outcome.value),
      ...(explained ? {} : { note: whyNot(pcr, outcome.eventCount) }),
    });
  }
  return explanations;
}

function whyNot(pcr: number, eventCount: number): string {
  if (pcr === 10) return 'IMA extends PCR10 outside this log';
  if (eventCount === 0) return 'software extended it after boot, outside this log';
  return 'the log is incomplete or edited, or software extended it after boot';
}
