import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { equalBytes } from '../bytes/bytes.js';
import { decodeHex, encodeHex } from '../bytes/hex.js';
import type { HashAlgorithm } from '../crypto/provider.js';
import type { BankName } from './bank-algorithms.js';
import { checkEventData } from './check-event-data.js';
import { decodeEvent } from './decode-event.js';
import { type EventLog, parseEventLog } from './event-log.js';
import { EVENT_TYPE } from './event-types.js';
import { explainPcrs } from './explain-pcrs.js';
import { replayEventLog, replayEventLogSync } from './replay-event-log.js';
import { authorityData, readSecureBoot, secureBootVariables } from './secure-boot.js';
import { parseVariableData } from './uefi-variable.js';

const VECTORS = fileURLToPath(new URL('../../../shared/vectors/', import.meta.url));
const present = existsSync(VECTORS);
if (!present) {
  const message = `SKIPPED: real event logs; ${VECTORS} does not exist`;
  if (process.env.CI) throw new Error(message);
  console.warn(message);
}

const digest = (algorithm: HashAlgorithm, data: Uint8Array): Uint8Array =>
  createHash(algorithm.replace('-', '')).update(data).digest();
const readLog = (path: string): EventLog => parseEventLog(readFileSync(`${VECTORS}${path}`));

/** What the README of the vectors says about each log, and two decoded lines of it. */
const LOGS: readonly (readonly [string, EventLog['format'], string, number, RegExp])[] = [
  ['go-tpm-tools--ubuntu-2104-no-dbx', 'crypto-agile', 'sha1 sha256 sha384', 111, /^grub_cmd: /],
  [
    'go-tpm-tools--ubuntu-2104-no-secure-boot',
    'crypto-agile',
    'sha1 sha256 sha384',
    105,
    /^SecureBoot off$/,
  ],
  ['go-tpm-tools--rhel8-uefi', 'crypto-agile', 'sha1 sha256 sha384', 82, /^SecureBoot o/],
  ['go-tpm-tools--debian-10', 'sha1', 'sha1', 25, /^Calling EFI Application from Boot Option$/],
  ['go-tpm-tools--gdc-host', 'crypto-agile', 'sha256', 158, /^StartupLocality 3$/],
  ['go-attestation--crypto_agile_eventlog', 'crypto-agile', 'sha256', 26, /^BootOrder /],
  // 60 events and Windows' trust point, an EV_NO_ACTION event outside of all PCRs.
  ['go-attestation--option_rom_eventlog', 'sha1', 'sha1', 61, /^SecureBoot o/],
  ['go-attestation--short_no_action_eventlog', 'sha1', 'sha1', 1, /^StartupLocality 3$/],
  ['tpm2-tools--event-uefivar', 'crypto-agile', 'sha1 sha256', 1, /^SecureBoot o/],
  ['tpm2-tools--event-sd-boot-fedora37', 'crypto-agile', 'sha256', 27, /^Linux: initrd/],
];

describe.skipIf(!present)('logs of real machines', () => {
  it.each(LOGS)('%s parses', (name, format, banks, count, line) => {
    const log = readLog(`eventlog/${name}.bin`);
    expect(log.format).toBe(format);
    expect(log.banks.map(({ bank }) => bank).join(' ')).toBe(banks);
    expect(log.events).toHaveLength(count);
    expect(log.events.map((event) => decodeEvent(event).summary).filter((s) => line.test(s)))
      .not //
      .toHaveLength(0);
  });

  it('covers every log of the folder', () => {
    const files = readdirSync(`${VECTORS}eventlog`).map((file) => file.replace('.bin', ''));
    const known = [...LOGS.map(([name]) => name), 'keylime--binary_bios_measurements-bogus'];
    expect(files.sort()).toEqual(known.sort());
  });

  it('refuses what is no log', () => {
    expect(() => readLog('eventlog/keylime--binary_bios_measurements-bogus.bin')).toThrow(
      expect.objectContaining({ code: 'eventlog.pcr-index' }),
    );
  });

  it('finds that strictly measured data was measured', async () => {
    const differing: string[] = [];
    let measured = 0;
    for (const [name] of LOGS) {
      const log = readLog(`eventlog/${name}.bin`);
      for (const event of log.events) {
        const { bank } = log.banks[0] as { bank: BankName };
        const { check } = await checkEventData(event, bank, digest);
        if (check.startsWith('measured')) measured++;
        if (check === 'differs') differing.push(`${name} ${decodeEvent(event).summary}`);
      }
    }
    // An old version of shim logged something else than it measured.
    expect(differing).toEqual([
      'go-tpm-tools--debian-10 image allowed by Shim: Debian Secure Boot CA',
    ]);
    expect(measured).toBeGreaterThan(400);
  });

  it('starts PCR0 with the locality', async () => {
    const log = readLog('eventlog/go-tpm-tools--gdc-host.bin');
    expect(log.startupLocality).toBe(3);
    const short = readLog('eventlog/go-attestation--short_no_action_eventlog.bin');
    const [pcr0] = await replayEventLog(short, 'sha1', digest);
    expect(encodeHex(pcr0?.value ?? new Uint8Array())).toBe(`${'00'.repeat(19)}03`);
  });
});

describe.skipIf(!present)('our measured boots', () => {
  const cases = present ? readdirSync(`${VECTORS}boot`) : [];
  const readPcrs = (name: string): Map<number, Uint8Array> => {
    const json = JSON.parse(readFileSync(`${VECTORS}boot/${name}/pcrs-sha384.json`, 'utf8'));
    return new Map(
      Object.entries(json as Record<string, string>).map(([pcr, hex]) => [
        Number(pcr),
        decodeHex(hex) ?? new Uint8Array(),
      ]),
    );
  };

  it('has six cases', () => expect(cases).toHaveLength(6));

  it.each(cases)('%s replays to the guest’s PCRs, PCR10 excepted', async (name) => {
    const log = readLog(`boot/${name}/eventlog.bin`);
    const explanations = await explainPcrs(log, readPcrs(name), digest);
    expect(explanations).toHaveLength(24);
    expect(explanations.filter(({ explained }) => !explained).map(({ pcr }) => pcr)).toEqual([10]);
    expect(explanations[10]?.note).toMatch(/IMA/);
    const bothBanks: BankName[] = ['sha256', 'sha384'];
    for (const bank of bothBanks)
      expect(replayEventLogSync(log, bank, digest)).toEqual(
        await replayEventLog(log, bank, async (algorithm, data) => digest(algorithm, data)),
      );
  });

  it.each(cases)('%s: every event is understood', async (name) => {
    const log = readLog(`boot/${name}/eventlog.bin`);
    for (const event of log.events) expect(decodeEvent(event).undecodable).toBeUndefined();
    const outside = log.events.filter(({ pcr }) => pcr === 12).map((event) => decodeEvent(event));
    expect(outside.map(({ text }) => text)).toEqual(
      name === 'loadopts' ? ['console=ttyS0 quiet panic=-1 evil=1'] : [],
    );
  });

  it('names the certificate that allowed an image', () => {
    const log = readLog('boot/sb/eventlog.bin');
    const authority = log.events.find(({ typeName }) => typeName === 'EV_EFI_VARIABLE_AUTHORITY');
    if (authority === undefined) throw new Error('no authority event');
    expect(decodeEvent(authority).summary).toMatch(/^image allowed by db: SnakeOil$/);
  });

  it('gives the known PCR7 without Secure Boot', async () => {
    const log = readLog('boot/base/eventlog.bin');
    const pcrs = await replayEventLog(log, 'sha384', digest);
    expect(encodeHex(pcrs[7]?.value ?? new Uint8Array())).toMatch(/^98441c7f7625d100.*8b77af35$/);
  });

  it.each(cases)('%s: the Secure Boot rules give the events of PCR7', (name) => {
    const events = readLog(`boot/${name}/eventlog.bin`).events.filter(({ pcr }) => pcr === 7);
    const variables = new Map(
      events
        .filter(({ type }) => type !== EVENT_TYPE.EV_SEPARATOR)
        .map((event): [string, Uint8Array] => {
          const { name: variable, data } = parseVariableData(event.data);
          const authority = event.type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY;
          return [authority ? 'authority' : variable, data];
        }),
    );
    const get = (variable: string): Uint8Array => variables.get(variable) ?? new Uint8Array();
    const state = readSecureBoot({
      pk: get('PK'),
      kek: get('KEK'),
      db: get('db'),
      dbx: get('dbx'),
    });
    const measured = [...secureBootVariables(state).map(({ data }) => data), new Uint8Array(4)];
    if (state.enabled) {
      const certificate = get('authority').subarray(16);
      const entry = state.dbEntries.find(({ data }) => equalBytes(data, certificate));
      if (entry === undefined) throw new Error('the log names an authority that is not in db');
      measured.push(authorityData(entry).data);
    }
    expect(state.enabled).toBe(name.endsWith('sb'));
    expect(measured.map((data) => encodeHex(digest('SHA-384', data)))).toEqual(
      events.map(({ digests }) => encodeHex(digests.get('sha384') ?? new Uint8Array())),
    );
  });

  it('shows the contents of boot variables, which is all that firmware measured of them', async () => {
    const shown: string[] = [];
    for (const event of readLog('boot/base/eventlog.bin').events) {
      const { check, proven } = await checkEventData(event, 'sha384', digest);
      if (check === 'measured-part' && proven !== undefined)
        shown.push(decodeEvent(proven).summary);
    }
    expect(shown.some((text) => text.startsWith('boot option "UEFI QEMU NVMe'))).toBe(true);
    expect(shown.join()).not.toMatch(/Boot\d{4}|BootOrder/);
  });

  it('says which PCRs an edited log does not explain', async () => {
    const bytes = new Uint8Array(readFileSync(`${VECTORS}boot/base/eventlog.bin`));
    const log = parseEventLog(bytes);
    const event = log.events.find(({ pcr, type }) => pcr === 4 && type === 0x80000003);
    if (event === undefined) throw new Error('no image event');
    const found = indexOf(bytes, event.digests.get('sha384') ?? new Uint8Array());
    bytes[found] = (bytes[found] as number) ^ 1;
    const explanations = await explainPcrs(parseEventLog(bytes), readPcrs('base'), digest);
    expect(explanations.filter(({ explained }) => !explained).map(({ pcr }) => pcr)).toEqual([
      4, 10,
    ]);
  });
});

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  for (let i = 0; i + part.length <= bytes.length; i++)
    if (part.every((byte, j) => bytes[i + j] === byte)) return i;
  throw new Error('not found');
}
