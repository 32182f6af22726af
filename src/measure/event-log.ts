import { ByteReader } from '../bytes/byte-reader.js';
import { copyBytes } from '../bytes/bytes.js';
import { AttestationError, reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { BANK_ALGORITHMS, type BankAlgorithm, type BankName } from './bank-algorithms.js';
import { EVENT_TYPE, eventTypeName } from './event-types.js';

/** The largest log that is read. Real ones have 5 to 100 KB; the kernel keeps it in memory. */
export const MAX_EVENT_LOG_BYTES: number = 8 * 1024 * 1024;
const MAX_EVENTS = 65_536;
const MAX_BANKS = 16;
/** PCRs of a PC client TPM (TCG PC Client Platform TPM Profile, 4.6.1). */
export const PCR_COUNT: number = 24;
/** "No PCR": used by EV_NO_ACTION events such as Windows' trust point. */
export const NO_PCR: number = 0xffffffff;

const CODES = {
  truncated: MEASUREMENT_CODES['eventlog.truncated'],
  trailing: MEASUREMENT_CODES['eventlog.truncated'],
} as const;
const HEADER_CODES = {
  truncated: MEASUREMENT_CODES['eventlog.header-invalid'],
  trailing: MEASUREMENT_CODES['eventlog.header-invalid'],
} as const;
const SPEC_ID_03 = 'Spec ID Event03\0';
const STARTUP_LOCALITY = 'StartupLocality\0';

/** One measured event, as the log has it. Its data is the firmware's word: see `checkEventData`. */
export interface LoggedEvent {
  /** Position in the log, the header not counted; from 0. */
  readonly index: number;
  /** Where it starts in the file, in bytes. */
  readonly offset: number;
  /** 0 to 23; `NO_PCR` (0xffffffff) only for EV_NO_ACTION. */
  readonly pcr: number;
  readonly type: number;
  /** E.g. `EV_SEPARATOR`, or the number in hex. */
  readonly typeName: string;
  /** The digests by bank, of 20 to 64 bytes; at least one. */
  readonly digests: ReadonlyMap<BankName, Uint8Array>;
  readonly data: Uint8Array;
}

/** A parsed event log. Nothing in it is trusted until its replay equals signed PCRs. */
export interface EventLog {
  /** `crypto-agile`: TCG_PCR_EVENT2 behind a header (TPM 2.0); `sha1`: TCG_PCR_EVENT (TPM 1.2 form). */
  readonly format: 'crypto-agile' | 'sha1';
  /** The banks that have digests, in the header's order. */
  readonly banks: readonly BankAlgorithm[];
  /** The locality that started the TPM, which is PCR0's start value; 0 when no event says so. */
  readonly startupLocality: number;
  readonly events: readonly LoggedEvent[];
}

/**
 * Reads a TCG event log (`/sys/kernel/security/tpm0/binary_bios_measurements`): crypto-agile or
 * SHA-1 form, little-endian. The input is copied. Whole or not at all: nothing may be left over.
 *
 * Throws `eventlog.empty`, `.too-large`, `.truncated`, `.header-invalid`, `.pcr-index`,
 * `.digest-set`, `.startup-locality`, `.limit-exceeded`.
 * Source: TCG PC Client Platform Firmware Profile 1.06, 10.2 and 10.4.
 */
export function parseEventLog(bytes: Uint8Array): EventLog {
  if (bytes.length === 0) throw new AttestationError(MEASUREMENT_CODES['eventlog.empty']);
  if (bytes.length > MAX_EVENT_LOG_BYTES)
    reject(
      MEASUREMENT_CODES['eventlog.too-large'],
      `at most ${MAX_EVENT_LOG_BYTES} bytes`,
      `${bytes.length} bytes`,
    );
  const reader: ByteReader = new ByteReader(copyBytes(bytes), 'event log', CODES, 'little');
  const first = readSha1Event(reader, 0);
  const crypto = first.type === EVENT_TYPE.EV_NO_ACTION ? readHeader(first.data) : undefined;
  const events: LoggedEvent[] = crypto === undefined ? [first] : [];
  const banks = crypto ?? [BANK_ALGORITHMS[0] as BankAlgorithm];
  while (reader.left > 0) {
    if (events.length >= MAX_EVENTS)
      reader.fail(
        MEASUREMENT_CODES['eventlog.limit-exceeded'],
        'events',
        `at most ${MAX_EVENTS} events`,
        'one more event',
      );
    events.push(
      crypto === undefined
        ? readSha1Event(reader, events.length)
        : readAgileEvent(reader, events.length, crypto),
    );
  }
  return {
    format: crypto === undefined ? 'sha1' : 'crypto-agile',
    banks: banks.filter(({ bank }) => events.some(({ digests }) => digests.has(bank))),
    startupLocality: findStartupLocality(events),
    events,
  };
}

/** TCG_PCR_EVENT: pcr u32, type u32, SHA-1 digest, size u32, data. */
function readSha1Event(reader: ByteReader, index: number): LoggedEvent {
  const offset = reader.offset;
  const { pcr, type } = readPcrAndType(reader, index);
  const digest = reader.take(20, `event ${index} digest`);
  const data = reader.take(reader.u32(`event ${index} size`), `event ${index} data`);
  return {
    index,
    offset,
    pcr,
    type,
    typeName: eventTypeName(type),
    digests: new Map([['sha1', digest]]),
    data,
  };
}

/** TCG_PCR_EVENT2: pcr u32, type u32, digest count u32, {algorithm u16, digest}…, size u32, data. */
function readAgileEvent(
  reader: ByteReader,
  index: number,
  banks: readonly BankAlgorithm[],
): LoggedEvent {
  const offset = reader.offset;
  const { pcr, type } = readPcrAndType(reader, index);
  const count = reader.u32(`event ${index} digest count`);
  // Some firmware declares every algorithm it has and writes digests of the active banks only.
  if (count === 0 || count > banks.length)
    reader.fail(
      MEASUREMENT_CODES['eventlog.digest-set'],
      `event ${index}`,
      `1 to ${banks.length} digests`,
      `${count}`,
    );
  const digests = new Map<BankName, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const algorithm = reader.u16(`event ${index} algorithm`);
    const bank = banks.find(({ tpmAlgorithm }) => tpmAlgorithm === algorithm);
    if (bank === undefined || digests.has(bank.bank))
      reader.fail(
        MEASUREMENT_CODES['eventlog.digest-set'],
        `event ${index}`,
        'banks of the header, each once',
        `algorithm 0x${algorithm.toString(16)}${bank === undefined ? '' : ' again'}`,
      );
    digests.set(bank.bank, reader.take(bank.digestBytes, `event ${index} digest`));
  }
  const data = reader.take(reader.u32(`event ${index} size`), `event ${index} data`);
  return { index, offset, pcr, type, typeName: eventTypeName(type), digests, data };
}

function readPcrAndType(reader: ByteReader, index: number): { pcr: number; type: number } {
  const pcr = reader.u32(`event ${index} PCR`);
  const type = reader.u32(`event ${index} type`);
  if (pcr >= PCR_COUNT && !(pcr === NO_PCR && type === EVENT_TYPE.EV_NO_ACTION))
    reader.fail(
      MEASUREMENT_CODES['eventlog.pcr-index'],
      `event ${index}`,
      `PCR 0 to ${PCR_COUNT - 1}`,
      `${pcr}`,
    );
  return { pcr, type };
}

/** TCG_EfiSpecIDEvent (10.2.1), or undefined when this is another EV_NO_ACTION event. */
function readHeader(data: Uint8Array): BankAlgorithm[] | undefined {
  const signature = String.fromCharCode(...data.subarray(0, 16));
  if (signature !== SPEC_ID_03) return undefined;
  const reader: ByteReader = new ByteReader(data, 'TCG_EfiSpecIDEvent', HEADER_CODES, 'little');
  reader.take(16, 'signature');
  reader.u32('platformClass');
  const minor = reader.u8('specVersionMinor');
  const major = reader.u8('specVersionMajor');
  if (major !== 2)
    reader.fail(
      MEASUREMENT_CODES['eventlog.header-invalid'],
      'specVersion',
      'version 2',
      `${major}.${minor}`,
    );
  reader.u8('specErrata');
  reader.u8('uintnSize');
  const count = reader.u32('numberOfAlgorithms');
  if (count === 0)
    reader.fail(MEASUREMENT_CODES['eventlog.header-invalid'], 'algorithms', 'at least one', 'none');
  if (count > MAX_BANKS)
    reader.fail(
      MEASUREMENT_CODES['eventlog.limit-exceeded'],
      'algorithms',
      `at most ${MAX_BANKS}`,
      `${count}`,
    );
  const banks: BankAlgorithm[] = [];
  for (let i = 0; i < count; i++) {
    const algorithm = reader.u16('algorithmId');
    const size = reader.u16('digestSize');
    const bank = BANK_ALGORITHMS.find(({ tpmAlgorithm }) => tpmAlgorithm === algorithm);
    if (bank === undefined || bank.digestBytes !== size || banks.includes(bank))
      reader.fail(
        MEASUREMENT_CODES['eventlog.header-invalid'],
        'algorithms',
        'known hash algorithms with their sizes, each once',
        `0x${algorithm.toString(16)} with ${size} bytes`,
      );
    banks.push(bank);
  }
  reader.take(reader.u8('vendorInfoSize'), 'vendorInfo');
  reader.end();
  return banks;
}

/**
 * TCG_EfiStartupLocalityEvent (10.4.5.3): the one EV_NO_ACTION event that changes a replay, so it
 * must stand once, in PCR0, before PCR0's first extend.
 */
function findStartupLocality(events: readonly LoggedEvent[]): number {
  let found: number | undefined;
  let extended = false;
  for (const event of events) {
    if (event.type !== EVENT_TYPE.EV_NO_ACTION) {
      extended ||= event.pcr === 0;
      continue;
    }
    if (String.fromCharCode(...event.data.subarray(0, 16)) !== STARTUP_LOCALITY) continue;
    const locality = event.data[16];
    const valid = event.data.length === 17 && locality !== undefined && locality <= 4;
    if (!valid || found !== undefined || extended || event.pcr !== 0)
      reject(
        MEASUREMENT_CODES['eventlog.startup-locality'],
        'one event with a locality of 0 to 4, in PCR0, before its first extend',
        `event ${event.index}: ${event.data.length} bytes, locality ${locality}, PCR${event.pcr}${
          found === undefined ? '' : ', repeated'
        }${extended ? ', after an extend' : ''}`,
      );
    found = locality;
  }
  return found ?? 0;
}
