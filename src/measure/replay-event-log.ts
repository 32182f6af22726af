import { concatBytes } from '../bytes/bytes.js';
import { type Flow, type MaybePromise, runFlow, runFlowSync, wait } from '../crypto/flow.js';
import type { HashAlgorithm } from '../crypto/provider.js';
import { reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import type { BankName } from './bank-algorithms.js';
import { type EventLog, PCR_COUNT } from './event-log.js';
import { EVENT_TYPE } from './event-types.js';

/** Computes a digest, now or later; `CryptoProvider.digest` and `SyncCrypto.digest` fit. */
export type DigestFunction = (
  algorithm: HashAlgorithm,
  data: Uint8Array,
) => MaybePromise<Uint8Array>;

/** What a replay gives for one PCR. */
export interface ReplayedPcr {
  readonly value: Uint8Array;
  /** How many events extended it; 0 means that `value` is the start value. */
  readonly eventCount: number;
}

/**
 * The value of every PCR of one bank after all events, from the start values of a TPM 2.0 (TCG PC
 * Client Platform TPM Profile, 4.6.2): zeros, 0xFF for 17 to 22, PCR0's last byte the startup
 * locality. EV_NO_ACTION events don't extend.
 *
 * PCR10 is extended by IMA outside this log: don't expect it to match on a running system.
 * Throws `eventlog.bank-missing`.
 */
export function replayEventLog(
  log: EventLog,
  bank: BankName,
  digest: DigestFunction,
): Promise<readonly ReplayedPcr[]> {
  return runFlow(replay(log, bank, digest));
}

/** The same without waiting; `digest` must answer at once. */
export function replayEventLogSync(
  log: EventLog,
  bank: BankName,
  digest: (algorithm: HashAlgorithm, data: Uint8Array) => Uint8Array,
): readonly ReplayedPcr[] {
  return runFlowSync(replay(log, bank, digest));
}

/** The replay as a flow, for callers that are flows themselves. */
export function* replay(
  log: EventLog,
  bank: BankName,
  digest: DigestFunction,
): Flow<readonly ReplayedPcr[]> {
  const facts = log.banks.find((candidate) => candidate.bank === bank);
  if (facts?.hash === undefined)
    reject(
      MEASUREMENT_CODES['eventlog.bank-missing'],
      bank,
      log.banks.map((candidate) => candidate.bank).join(', '),
    );
  const values = Array.from({ length: PCR_COUNT }, (_, pcr) =>
    startValue(pcr, facts.digestBytes, log.startupLocality),
  );
  const counts = new Array<number>(PCR_COUNT).fill(0);
  for (const event of log.events) {
    const measured = event.digests.get(bank);
    if (event.type === EVENT_TYPE.EV_NO_ACTION) continue;
    if (measured === undefined)
      reject(
        MEASUREMENT_CODES['eventlog.bank-missing'],
        `a ${bank} digest in event ${event.index}`,
        [...event.digests.keys()].join(', '),
      );
    const old = values[event.pcr] as Uint8Array;
    values[event.pcr] = yield* wait(digest(facts.hash, concatBytes(old, measured)));
    counts[event.pcr] = (counts[event.pcr] as number) + 1;
  }
  return values.map((value, pcr) => ({ value, eventCount: counts[pcr] as number }));
}

function startValue(pcr: number, bytes: number, startupLocality: number): Uint8Array {
  const value = new Uint8Array(bytes).fill(pcr >= 17 && pcr <= 22 ? 0xff : 0);
  if (pcr === 0) value[bytes - 1] = startupLocality;
  return value;
}
