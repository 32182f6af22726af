import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../bytes/byte-writer.js';
import { asciiBytes, concatBytes } from '../bytes/bytes.js';
import type { HashAlgorithm } from '../crypto/provider.js';
import { AttestationError } from '../result/attestation-error.js';
import { checkEventData } from './check-event-data.js';
import { decodeEvent } from './decode-event.js';
import { MAX_EVENT_LOG_BYTES, parseEventLog } from './event-log.js';
import { EVENT_TYPE } from './event-types.js';
import { explainPcrs } from './explain-pcrs.js';
import { replayEventLog, replayEventLogSync } from './replay-event-log.js';
import { encodeVariableData } from './uefi-variable.js';

const SHA1 = 0x0004;
const SHA256 = 0x000b;
const SHA384 = 0x000c;
const SIZES: Readonly<Record<number, number>> = { [SHA1]: 20, [SHA256]: 32, [SHA384]: 48 };
const digest = (algorithm: HashAlgorithm, data: Uint8Array): Uint8Array =>
  new Uint8Array(createHash(algorithm.replace('-', '')).update(data).digest());

function sha1Event(pcr: number, type: number, data: Uint8Array): Uint8Array {
  return new ByteWriter('little')
    .u32(pcr)
    .u32(type)
    .bytes(new Uint8Array(20))
    .u32(data.length)
    .bytes(data)
    .finish();
}

function specId(algorithms: readonly (readonly [number, number])[], major = 2): Uint8Array {
  const writer = new ByteWriter('little').bytes(asciiBytes('Spec ID Event03\0')).u32(0);
  writer.u8(0).u8(major).u8(0).u8(2).u32(algorithms.length);
  for (const [algorithm, size] of algorithms) writer.u16(algorithm).u16(size);
  return writer.u8(0).finish();
}

const header = (...algorithms: readonly number[]): Uint8Array =>
  sha1Event(0, EVENT_TYPE.EV_NO_ACTION, specId(algorithms.map((id) => [id, SIZES[id] ?? 0])));

function event(
  pcr: number,
  type: number,
  data: Uint8Array,
  algorithms: readonly number[] = [SHA384],
): Uint8Array {
  const writer = new ByteWriter('little').u32(pcr).u32(type).u32(algorithms.length);
  for (const algorithm of algorithms)
    writer.u16(algorithm).bytes(new Uint8Array(SIZES[algorithm] ?? 0).fill(pcr));
  return writer.u32(data.length).bytes(data).finish();
}

const locality = (value: number): Uint8Array =>
  concatBytes(asciiBytes('StartupLocality\0'), Uint8Array.of(value));
const separator = (pcr: number): Uint8Array =>
  event(pcr, EVENT_TYPE.EV_SEPARATOR, new Uint8Array(4));
const noAction = (pcr: number, data: Uint8Array): Uint8Array =>
  event(pcr, EVENT_TYPE.EV_NO_ACTION, data);

const MALFORMED: readonly (readonly [string, Uint8Array, string])[] = [
  ['nothing', new Uint8Array(), 'eventlog.empty'],
  ['a huge file', new Uint8Array(MAX_EVENT_LOG_BYTES + 1), 'eventlog.too-large'],
  ['three bytes', new Uint8Array(3), 'eventlog.truncated'],
  ['text', asciiBytes('bogus\ninvalid\nlog\n'.repeat(4)), 'eventlog.pcr-index'],
  [
    'a PCR beyond 23',
    sha1Event(24, EVENT_TYPE.EV_SEPARATOR, new Uint8Array(4)),
    'eventlog.pcr-index',
  ],
  ['no PCR, but an extend', sha1Event(0xffffffff, 4, new Uint8Array(4)), 'eventlog.pcr-index'],
  ['a cut header', sha1Event(0, 3, specId([]).subarray(0, 27)), 'eventlog.header-invalid'],
  [
    'a header with rest',
    sha1Event(0, 3, concatBytes(specId([[SHA384, 48]]), Uint8Array.of(0))),
    'eventlog.header-invalid',
  ],
  ['a header of version 1', sha1Event(0, 3, specId([[SHA384, 48]], 1)), 'eventlog.header-invalid'],
  ['no algorithm', sha1Event(0, 3, specId([])), 'eventlog.header-invalid'],
  ['an unknown algorithm', sha1Event(0, 3, specId([[0x0099, 48]])), 'eventlog.header-invalid'],
  ['a wrong digest size', sha1Event(0, 3, specId([[SHA384, 32]])), 'eventlog.header-invalid'],
  ['an algorithm twice', header(SHA384, SHA384), 'eventlog.header-invalid'],
  [
    'seventeen algorithms',
    sha1Event(0, 3, specId(new Array(17).fill([SHA384, 48]))),
    'eventlog.limit-exceeded',
  ],
  [
    'a billion algorithms',
    sha1Event(
      0,
      3,
      specId([]).map((b, i) => (i >= 24 && i < 28 ? 0x7f : b)),
    ),
    'eventlog.limit-exceeded',
  ],
  [
    'no digest',
    concatBytes(header(SHA384), event(0, 4, new Uint8Array(4), [])),
    'eventlog.digest-set',
  ],
  [
    'a digest twice',
    concatBytes(header(SHA256, SHA384), event(0, 4, new Uint8Array(4), [SHA384, SHA384])),
    'eventlog.digest-set',
  ],
  [
    'a digest too many',
    concatBytes(header(SHA384), event(0, 4, new Uint8Array(4), [SHA256, SHA384])),
    'eventlog.digest-set',
  ],
  [
    'a digest not declared',
    concatBytes(header(SHA384), event(0, 4, new Uint8Array(4), [SHA256])),
    'eventlog.digest-set',
  ],
  ['a rest', concatBytes(header(SHA384), separator(0), new Uint8Array(7)), 'eventlog.truncated'],
  [
    'a huge event',
    concatBytes(
      header(SHA384),
      separator(0).map((b, i, all) => (i >= all.length - 8 && i < all.length - 4 ? 0xff : b)),
    ),
    'eventlog.truncated',
  ],
  [
    'a locality after an extend',
    concatBytes(header(SHA384), separator(0), noAction(0, locality(3))),
    'eventlog.startup-locality',
  ],
  [
    'two localities',
    concatBytes(header(SHA384), noAction(0, locality(3)), noAction(0, locality(3))),
    'eventlog.startup-locality',
  ],
  [
    'locality 5',
    concatBytes(header(SHA384), noAction(0, locality(5))),
    'eventlog.startup-locality',
  ],
  [
    'no locality',
    concatBytes(header(SHA384), noAction(0, asciiBytes('StartupLocality\0'))),
    'eventlog.startup-locality',
  ],
  [
    'a locality in PCR1',
    concatBytes(header(SHA384), noAction(1, locality(3))),
    'eventlog.startup-locality',
  ],
  [
    'too many events',
    concatBytes(header(SHA1), ...new Array(65_537).fill(event(0, 4, new Uint8Array(), [SHA1]))),
    'eventlog.limit-exceeded',
  ],
];

describe('parseEventLog', () => {
  it.each(MALFORMED)('%s', (_, bytes, code) => {
    expect(() => parseEventLog(bytes)).toThrow(expect.objectContaining({ code }));
  });

  it('fails at every truncation that does not end an event', () => {
    const events = [header(SHA256, SHA384), separator(0), noAction(0, asciiBytes('x'))];
    const whole = concatBytes(...events);
    const ends = events.map((_, i) => concatBytes(...events.slice(0, i + 1)).length);
    for (let length = 1; length < whole.length; length++) {
      if (ends.includes(length)) continue;
      expect(() => parseEventLog(whole.subarray(0, length))).toThrow(AttestationError);
    }
  });

  it('throws nothing but our error for random and mutated bytes, in bounded time', () => {
    const good = concatBytes(header(SHA256, SHA384), separator(0), separator(7));
    const attempt = (bytes: Uint8Array): void => {
      try {
        for (const logged of parseEventLog(bytes).events) decodeEvent(logged);
      } catch (error) {
        expect(error).toBeInstanceOf(AttestationError);
      }
    };
    const started = Date.now();
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), attempt), { numRuns: 2000 });
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, to, end) => {
        const bytes = good.slice();
        bytes[at] = to;
        attempt(bytes);
        attempt(bytes.subarray(0, end));
      }),
      { numRuns: 2000 },
    );
    expect(Date.now() - started).toBeLessThan(20_000);
  });

  it('does not see later changes of the input', () => {
    const bytes = concatBytes(header(SHA384), separator(3));
    const log = parseEventLog(bytes);
    bytes.fill(0xee);
    expect(log.events[0]?.digests.get('sha384')).toEqual(new Uint8Array(48).fill(3));
  });
});

describe('decodeEvent', () => {
  const TYPES = [...Object.values(EVENT_TYPE), 0x12345678];

  it('never throws and always says something printable', () => {
    fc.assert(
      fc.property(fc.constantFrom(...TYPES), fc.uint8Array({ maxLength: 300 }), (type, data) => {
        const bytes = concatBytes(header(SHA384), event(1, type, data));
        const logged = parseEventLog(bytes).events[0];
        if (logged === undefined) throw new Error('no event');
        const { summary } = decodeEvent(logged);
        expect(summary).not.toBe('');
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
        expect(summary).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
      }),
      { numRuns: 3000 },
    );
  });

  it('shows hostile variable names and texts with escapes', () => {
    const data = encodeVariableData({
      guid: '11111111-2222-3333-4444-555555555555',
      name: 'a\u001b[31m\u202e',
      data: asciiBytes('x'),
    });
    const bytes = concatBytes(header(SHA384), event(1, EVENT_TYPE.EV_EFI_VARIABLE_BOOT, data));
    const [logged] = parseEventLog(bytes).events;
    expect(logged && decodeEvent(logged).summary).toBe('a\\u001b[31m\\u202e: x');
  });
});

describe('replay', () => {
  const log = parseEventLog(
    concatBytes(
      header(SHA256, SHA384),
      event(4, 4, new Uint8Array(4), [SHA256, SHA384]),
      separator(5),
    ),
  );

  it('starts at zeros, and at ones for the dynamic PCRs', async () => {
    const pcrs = await replayEventLog(log, 'sha384', digest);
    expect(pcrs).toHaveLength(24);
    expect(pcrs[16]).toEqual({ value: new Uint8Array(48), eventCount: 0 });
    expect(pcrs[17]).toEqual({ value: new Uint8Array(48).fill(255), eventCount: 0 });
    expect(pcrs[4]?.value).toEqual(
      new Uint8Array(
        digest('SHA-384', concatBytes(new Uint8Array(48), new Uint8Array(48).fill(4))),
      ),
    );
    expect(pcrs[4]?.eventCount).toBe(1);
  });

  it('refuses a bank that is not there, or not in every event', async () => {
    const missing = expect.objectContaining({ code: 'eventlog.bank-missing' });
    await expect(replayEventLog(log, 'sha512', digest)).rejects.toEqual(missing);
    await expect(replayEventLog(log, 'sha256', digest)).rejects.toEqual(missing);
    expect(() => replayEventLogSync(log, 'sm3_256', digest)).toThrow(missing);
  });

  it('explains only equal PCRs, and says why others differ', async () => {
    const pcrs = await replayEventLog(log, 'sha384', digest);
    const signed = new Map(pcrs.map(({ value }, pcr) => [pcr, value]));
    signed.set(11, new Uint8Array(48).fill(1));
    signed.set(5, new Uint8Array(48));
    signed.set(31, new Uint8Array(48));
    const explanations = await explainPcrs(log, signed, digest);
    const failed = explanations.filter(({ explained }) => !explained);
    expect(explanations).toHaveLength(24);
    expect(failed.map(({ pcr, eventCount }) => [pcr, eventCount])).toEqual([
      [5, 1],
      [11, 0],
    ]);
    expect(failed[1]?.note).toMatch(/after boot/);
  });
});

describe('checkEventData', () => {
  it('tells edited data from measured data', async () => {
    const text = asciiBytes('Calling EFI Application from Boot Option');
    const bytes = concatBytes(header(SHA384), event(4, EVENT_TYPE.EV_EFI_ACTION, text));
    const edited = parseEventLog(bytes).events[0];
    if (edited === undefined) throw new Error('no event');
    expect(await checkEventData(edited, 'sha384', digest)).toEqual({ check: 'differs' });
    const honest = { ...edited, digests: new Map([['sha384' as const, digest('SHA-384', text)]]) };
    expect(await checkEventData(honest, 'sha384', digest)).toEqual({ check: 'measured' });
    const image = { ...honest, type: EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION };
    expect(await checkEventData(image, 'sha384', digest)).toEqual({ check: 'elsewhere' });
    const remark = { ...honest, type: EVENT_TYPE.EV_NO_ACTION };
    expect(await checkEventData(remark, 'sha384', digest)).toEqual({ check: 'not-extended' });
  });

  it('says which part is proven when an attacker puts a label around it', async () => {
    const find = async (
      type: number,
      data: Uint8Array,
      measured: Uint8Array,
    ): Promise<[string, string]> => {
      const logged = parseEventLog(concatBytes(header(SHA384), event(8, type, data))).events[0];
      if (logged === undefined) throw new Error('no event');
      const digests = new Map([['sha384' as const, digest('SHA-384', measured)]]);
      const { check, proven } = await checkEventData({ ...logged, digests }, 'sha384', digest);
      return [check, proven === undefined ? '' : decodeEvent(proven).summary];
    };
    const text = asciiBytes('set x=y');
    const label = asciiBytes('This machine is certified by ACME: ');
    expect(await find(EVENT_TYPE.EV_IPL, concatBytes(label, text), text)).toEqual([
      'measured-part',
      'set x=y',
    ]);
    expect(await find(EVENT_TYPE.EV_IPL, concatBytes(text, Uint8Array.of(0)), text)).toEqual([
      'measured',
      '',
    ]);
    const guid = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
    const boot = encodeVariableData({ guid, name: 'SecureBootIsVeryOn', data: Uint8Array.of(1) });
    expect(await find(EVENT_TYPE.EV_EFI_VARIABLE_BOOT, boot, Uint8Array.of(1))).toEqual([
      'measured-part',
      '01',
    ]);
    expect(await find(EVENT_TYPE.EV_EFI_VARIABLE_BOOT, boot, boot)).toEqual(['measured', '']);
    const shim = encodeVariableData({ guid, name: 'Shim', data: asciiBytes('vendor') });
    const trailing = concatBytes(shim, asciiBytes(' and ACME'));
    const [check, summary] = await find(EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY, trailing, shim);
    expect(check).toBe('measured-part');
    expect(summary).toMatch(/Shim: vendor$/);
  });
});
