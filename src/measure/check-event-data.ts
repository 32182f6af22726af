import { asciiBytes, equalBytes } from '../bytes/bytes.js';
import { type Flow, runFlow, wait } from '../crypto/flow.js';
import type { BankName } from './bank-algorithms.js';
import { BANK_ALGORITHMS } from './bank-algorithms.js';
import type { EventContents } from './decode-event.js';
import type { LoggedEvent } from './event-log.js';
import { EVENT_TYPE } from './event-types.js';
import type { DigestFunction } from './replay-event-log.js';
import { decodeUtf16, isUtf16Text } from './text.js';
import { parseVariableData } from './uefi-variable.js';

/**
 * How the data of an event relates to its digest. `measured`: the digest is of this data, so a
 * replay that gives signed PCRs proves the data, too. `measured-part`: it is of a part of the data;
 * the rest is only a label. `elsewhere`: the digest is of something that the log doesn't hold (an
 * image, an initrd), the data is only a label. `differs`: it should be of the data and isn't:
 * somebody edited the log, or the firmware is odd.
 */
export type EventDataCheck =
  | 'measured'
  | 'measured-part'
  | 'elsewhere'
  | 'differs'
  | 'not-extended';

/** What the digest of an event proves of its data. */
export interface EventDataFinding {
  readonly check: EventDataCheck;
  /** With `measured-part`: an event with the proven part alone, for `decodeEvent`. */
  readonly proven?: EventContents;
}

/** Types whose digest is of the event's data (TCG PC Client Platform Firmware Profile, 10.4.1). */
const OF_DATA: ReadonlySet<number> = new Set([
  EVENT_TYPE.EV_SEPARATOR,
  EVENT_TYPE.EV_ACTION,
  EVENT_TYPE.EV_EFI_ACTION,
  EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG,
  EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
  EVENT_TYPE.EV_EFI_GPT_EVENT,
  EVENT_TYPE.EV_EFI_GPT_EVENT2,
]);
/** Types where it may be, or where it is of a part that can be found. */
const MAYBE_OF_DATA: ReadonlySet<number> = new Set([
  EVENT_TYPE.EV_S_CRTM_VERSION,
  EVENT_TYPE.EV_EFI_VARIABLE_BOOT,
  EVENT_TYPE.EV_EFI_VARIABLE_BOOT2,
  EVENT_TYPE.EV_EVENT_TAG,
  EVENT_TYPE.EV_IPL,
  EVENT_TYPE.EV_COMPACT_HASH,
  EVENT_TYPE.EV_PLATFORM_CONFIG_FLAGS,
  EVENT_TYPE.EV_TABLE_OF_DEVICES,
]);
const MAX_HASHED_BYTES = 1024 * 1024;

/** Compares an event's digest in one bank with the digest of its data. */
export function checkEventData(
  event: LoggedEvent,
  bank: BankName,
  digest: DigestFunction,
): Promise<EventDataFinding> {
  return runFlow(checkEventDataFlow(event, bank, digest));
}

/** The same as a flow. */
export function* checkEventDataFlow(
  event: LoggedEvent,
  bank: BankName,
  digest: DigestFunction,
): Flow<EventDataFinding> {
  if (event.type === EVENT_TYPE.EV_NO_ACTION) return { check: 'not-extended' };
  const strict = OF_DATA.has(event.type);
  const expected = event.digests.get(bank);
  const hash = BANK_ALGORITHMS.find((candidate) => candidate.bank === bank)?.hash;
  const checkable = strict || MAYBE_OF_DATA.has(event.type);
  if (!checkable || expected === undefined || hash === undefined) return { check: 'elsewhere' };
  for (const { bytes, part } of candidates(event)) {
    if (bytes.length > MAX_HASHED_BYTES) continue;
    if (!equalBytes(yield* wait(digest(hash, bytes)), expected)) continue;
    if (part === undefined) return { check: 'measured' };
    const { type } = event;
    return {
      check: 'measured-part',
      proven: { type, data: bytes, isVariableData: part === 'variable data' },
    };
  }
  return { check: strict ? 'differs' : 'elsewhere' };
}

interface Candidate {
  readonly bytes: Uint8Array;
  /** When it is not all that the data says: how to read it. */
  readonly part?: 'same form' | 'variable data';
}

/** What of the data may have been measured, by type and by who wrote it. */
function* candidates({ type, data }: LoggedEvent): Generator<Candidate> {
  yield { bytes: data };
  if (type === EVENT_TYPE.EV_EFI_VARIABLE_BOOT || type === EVENT_TYPE.EV_EFI_VARIABLE_BOOT2) {
    // Older firmware measures the variable's contents only: its name is a label.
    const variable = readVariable(data);
    if (variable !== undefined) yield { bytes: variable.data, part: 'variable data' };
  }
  if (type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY) {
    // Old versions of shim log a few bytes more than they measure.
    const { trailingBytes = 0 } = readVariable(data) ?? {};
    if (trailingBytes > 0)
      yield { bytes: data.subarray(0, data.length - trailingBytes), part: 'same form' };
  }
  if (type !== EVENT_TYPE.EV_IPL) return;
  const end = data.at(-1) === 0 ? data.length - 1 : data.length;
  yield { bytes: data.subarray(0, end) };
  // systemd-stub: a section's name in UTF-16, measured in ASCII with its NUL.
  if (isUtf16Text(data)) yield { bytes: asciiBytes(`${decodeUtf16(data)}\0`) };
  // GRUB: "grub_cmd: set x=y", "kernel_cmdline: …", of which the part after the colon is measured.
  const colon = data.indexOf(0x3a);
  if (colon > 0 && data[colon + 1] === 0x20)
    yield { bytes: data.subarray(colon + 2, end), part: 'same form' };
}

function readVariable(data: Uint8Array): ReturnType<typeof parseVariableData> | undefined {
  try {
    return parseVariableData(data);
  } catch {
    return undefined; // undecodable data has no parts to try
  }
}
