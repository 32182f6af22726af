import { createHash } from 'node:crypto';
import { Command } from 'commander';
import {
  BANK_ALGORITHMS,
  type BankName,
  checkEventData,
  type DecodedEvent,
  type DigestFunction,
  decodeEvent,
  type EventDataCheck,
  type EventLog,
  explainPcrs,
  type LoggedEvent,
  MAX_EVENT_LOG_BYTES,
  NO_PCR,
  type PcrExplanation,
  parseEventLog,
  replayEventLog,
} from 'tee-verify/measure';
import { EXIT, writeOutput } from '../common/command-line.js';
import { readSmallFile } from '../common/file-source.js';
import { isObject } from '../common/json-object.js';
import { parsePcrList } from './parse-pcr-list.js';
import { malformed, readJsonObject, readPcrs } from './read-json.js';

interface EventLogFlags {
  readonly pcrs?: string;
  readonly pcr?: readonly number[];
  readonly json?: boolean;
}

/** IMA extends it outside this log: it never matches on a running system. */
const IMA_PCR = 10;

/** `tee-image eventlog`: explains a log, and whether it accounts for PCR values. */
export function eventlogCommand(): Command {
  return new Command('eventlog')
    .description('explain a TCG event log, and compare its replay with PCR values')
    .argument('<log>', 'binary_bios_measurements; - reads standard input')
    .option(
      '--pcrs <json>',
      'PCR values to compare with: {"0": hex, …}, {"sha384": {…}}, a bundle, or AWS\u2019s measurements',
    )
    .option('--pcr <list>', 'show the events of these PCRs only, e.g. 4,7,12', parsePcrList)
    .option('--json', 'write JSON')
    .addHelpText(
      'after',
      `
Before each event stands how its data relates to its digest:
  =  the digest is of this data: a replay that gives signed PCRs proves the data
  ~  the digest is of a part of the data: only that part is shown
  \u00b7  the digest is of something that the log does not hold (an image, an initrd)
  !  the digest should be of this data and is not: the log was edited, or the firmware is odd
  -  not extended

Examples:
  tee-image eventlog /sys/kernel/security/tpm0/binary_bios_measurements
  tee-image eventlog eventlog.bin --pcrs bundle.json
  tee-image eventlog eventlog.bin --pcr 4,12 --json

Exit status: 0 explained, 1 the log is malformed, an event that is shown has data of another digest
(!), or the log does not explain the PCRs (PCR10 excepted: IMA extends it outside this log), 2 usage,
unreadable or unwritable file.`,
    )
    .action(runEventlog);
}

async function runEventlog(path: string, flags: EventLogFlags): Promise<void> {
  const log = parseEventLog(await readSmallFile(path, MAX_EVENT_LOG_BYTES));
  const pcrs = flags.pcrs === undefined ? undefined : await readPcrValues(flags.pcrs);
  const bank = pcrs === undefined ? bestBank(log) : pcrs.bank;
  const shown = log.events.filter(({ pcr }) => flags.pcr === undefined || flags.pcr.includes(pcr));
  const events: ExplainedEvent[] = [];
  for (const event of shown) {
    const { check, proven = event } = await checkEventData(event, bank, digest);
    events.push({ event, decoded: decodeEvent(proven), check });
  }
  const replayed = await replayEventLog(log, bank, digest);
  const explanations = pcrs && (await explainPcrs(log, pcrs.values, digest, bank));
  const values = replayed.flatMap(({ value, eventCount }, pcr) =>
    eventCount === 0 ? [] : [{ pcr, eventCount, value: Buffer.from(value).toString('hex') }],
  );
  const text = flags.json
    ? toJson(log, bank, events, values, explanations)
    : toText(log, bank, events, values, explanations);
  const isEdited = events.some(({ check }) => check === 'differs');
  if (isEdited || explanations?.some(({ pcr, explained }) => !explained && pcr !== IMA_PCR))
    process.exitCode = EXIT.failed;
  await writeOutput(undefined, text);
}

interface ExplainedEvent {
  readonly event: LoggedEvent;
  readonly decoded: DecodedEvent;
  readonly check: EventDataCheck;
}

interface ReplayedValue {
  readonly pcr: number;
  readonly eventCount: number;
  readonly value: string;
}

const MARKS: Readonly<Record<EventDataCheck, string>> = {
  measured: '=',
  'measured-part': '~',
  elsewhere: '\u00b7',
  differs: '!',
  'not-extended': '-',
};

function toText(
  log: EventLog,
  bank: BankName,
  events: readonly ExplainedEvent[],
  values: readonly ReplayedValue[],
  explanations?: readonly PcrExplanation[],
): string {
  const banks = log.banks.map((facts) => facts.bank).join(', ');
  const lines = [
    `${log.format} log, ${log.events.length} events, banks ${banks}; shown is ${bank}`,
    '',
    ...events.map(({ event, decoded, check }) => {
      const pcr = event.pcr === NO_PCR ? '-' : `${event.pcr}`;
      const digestText = Buffer.from(event.digests.get(bank) ?? []).toString('hex', 0, 6);
      const bad = decoded.undecodable === undefined ? '' : ' (cannot be read as this type)';
      return `${`${event.index}`.padStart(4)} ${MARKS[check]} PCR${pcr.padEnd(2)} ${digestText} ${event.typeName}: ${decoded.summary}${bad}`;
    }),
    '',
    'Replay:',
  ];
  if (explanations === undefined)
    for (const { pcr, eventCount, value } of values)
      lines.push(`  PCR${`${pcr}`.padEnd(2)} ${value}  ${plural(eventCount)}`);
  else
    for (const { pcr, explained, eventCount, signed, replayed, note } of explanations) {
      const name = `  PCR${`${pcr}`.padEnd(2)}`;
      if (explained) lines.push(`${name} explained by ${plural(eventCount)}`);
      else
        lines.push(
          `${name} NOT explained: ${note}`,
          `        given    ${signed}`,
          `        replayed ${replayed}`,
        );
    }
  return `${lines.join('\n')}\n`;
}

function toJson(
  log: EventLog,
  bank: BankName,
  events: readonly ExplainedEvent[],
  values: readonly ReplayedValue[],
  explanations?: readonly PcrExplanation[],
): string {
  const report = {
    format: log.format,
    banks: log.banks.map((facts) => facts.bank),
    bank,
    startupLocality: log.startupLocality,
    events: events.map(({ event, decoded, check }) => ({
      index: event.index,
      pcr: event.pcr === NO_PCR ? null : event.pcr,
      type: event.typeName,
      digest: Buffer.from(event.digests.get(bank) ?? []).toString('hex'),
      data: check,
      ...decoded,
    })),
    replayed: values,
    ...(explanations === undefined ? {} : { explanations }),
  };
  // Sizes and blocks of partitions have 64 bits.
  const text = JSON.stringify(report, (_, v) => (typeof v === 'bigint' ? Number(v) : v), 2);
  return `${text}\n`;
}

/** PCR values of a JSON file, with the bank that their length tells. */
async function readPcrValues(
  path: string,
): Promise<{ bank: BankName; values: Map<number, Uint8Array> }> {
  let object = await readJsonObject(path);
  for (const key of ['pcrs', 'Measurements', 'sha384', 'sha256', 'sha1']) {
    const inner = object[key];
    if (isObject(inner)) object = inner;
  }
  const pcrs = readPcrs(path, object);
  const [first = ''] = pcrs.values();
  const facts = BANK_ALGORITHMS.find(({ digestBytes }) => digestBytes * 2 === first.length);
  if (facts === undefined)
    throw malformed(path, 'PCRs of 20, 32, 48 or 64 bytes', `${first.length / 2}`);
  const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
  return {
    bank: facts.bank,
    values: new Map([...pcrs].map(([pcr, hex]) => [pcr, bytes(hex)])),
  };
}

/** SHA-384 when the log has it, as NitroTPM's do; else the first bank that can be recomputed. */
function bestBank(log: EventLog): BankName {
  const usable = log.banks.filter(({ hash }) => hash !== undefined);
  return (usable.find(({ bank }) => bank === 'sha384') ?? usable[0])?.bank ?? 'sha384';
}

const digest: DigestFunction = (algorithm, data) =>
  new Uint8Array(createHash(algorithm.replace('-', '')).update(data).digest());

const plural = (count: number): string => (count === 1 ? '1 event' : `${count} events`);
