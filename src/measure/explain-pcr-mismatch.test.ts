import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asciiBytes } from '../bytes/bytes.js';
import { alignEvents } from './align-events.js';
import { diffMeasurements } from './diff-measurements.js';
import type { LoggedEvent } from './event-log.js';
import { EVENT_TYPE } from './event-types.js';
import {
  type ExplainableEvent,
  explainableEvents,
  explainPcrMismatch,
} from './explain-pcr-mismatch.js';

const event = (pcr: number, digest: string, description = `event ${digest}`): ExplainableEvent => ({
  pcr,
  digest,
  description,
});
const set = [
  event(4, 'aa', 'separator'),
  event(4, 'bb', 'Authenticode digest of the UKI'),
  event(4, 'cc', 'Authenticode digest of the kernel inside the UKI'),
  event(7, 'dd'),
];

describe('explainPcrMismatch', () => {
  it('names the event that changed', () => {
    const log = [
      event(4, 'aa'),
      event(4, 'ee', 'image of 9 bytes'),
      event(4, 'cc'),
      event(1, 'ff'),
    ];
    expect(explainPcrMismatch(4, set, log)).toEqual([
      'PCR4 differs: Authenticode digest of the UKI is ee (the log says image of 9 bytes), the manifest\u2019s image has bb',
    ]);
  });

  it('names events that are missing or too many', () => {
    expect(explainPcrMismatch(4, set, [event(4, 'aa'), event(4, 'bb')])).toEqual([
      'PCR4 differs: the machine did not measure Authenticode digest of the kernel inside the UKI, cc in the manifest',
    ]);
    expect(explainPcrMismatch(12, set, [event(12, '11', 'evil=1')])).toEqual([
      'PCR12 differs: the machine measured 11 (the log says evil=1), the manifest has nothing there',
    ]);
  });

  it('does not quote what an attacker wrote into the log', async () => {
    const data = asciiBytes('SecureBoot off');
    const digestOf = (bytes: Uint8Array): Uint8Array =>
      new Uint8Array(createHash('sha384').update(bytes).digest());
    const logged = (type: number, measured: Uint8Array): LoggedEvent => ({
      index: 0,
      offset: 0,
      pcr: 7,
      type,
      typeName: '',
      digests: new Map([['sha384', digestOf(measured)]]),
      data,
    });
    const explain = async (one: LoggedEvent): Promise<string | undefined> => {
      const log = { format: 'crypto-agile', banks: [], startupLocality: 0, events: [one] } as const;
      const events = await explainableEvents(log, (_, bytes) => digestOf(bytes));
      return explainPcrMismatch(7, [], events)[0];
    };
    const other = asciiBytes('SecureBoot on');
    const edited = await explain(logged(EVENT_TYPE.EV_EFI_ACTION, other));
    expect(edited).toContain('does not match this digest');
    expect(edited).not.toContain('SecureBoot');
    expect(await explain(logged(EVENT_TYPE.EV_COMPACT_HASH, other))).toContain(
      'labelled in the log, unproven: SecureBoot off',
    );
    expect(await explain(logged(EVENT_TYPE.EV_EFI_ACTION, data))).toContain(
      '(the log says SecureBoot off)',
    );
  });

  it('reads only the events that it writes about', () => {
    let reads = 0;
    const log = Array.from({ length: 500 }, (_, i) => ({
      pcr: i % 2 === 0 ? 4 : 12,
      digest: `${i}`,
      get description(): string {
        reads++;
        return 'costly';
      },
    }));
    expect(explainPcrMismatch(4, [], log)).toHaveLength(17);
    expect(reads).toBe(16);
  });

  it('says what can be said without a log', () => {
    expect(explainPcrMismatch(4, set)[0]).toMatch(/measures separator, Authenticode digest/);
    expect(explainPcrMismatch(12, set)[0]).toMatch(/expects that nothing is measured there/);
  });

  it('shows hostile descriptions escaped, and not too many of them', () => {
    const log = Array.from({ length: 100 }, (_, i) => event(4, `${i}`, '\u001b[2J'));
    const sentences = explainPcrMismatch(4, [], log);
    expect(sentences).toHaveLength(17);
    expect(sentences[0]).toContain('\\u001b[2J');
    expect(sentences.at(-1)).toBe('PCR4: 84 more differences');
  });

  it('says something when the events are the same', () => {
    expect(explainPcrMismatch(7, set, set)[0]).toMatch(/although/);
  });
});

describe('alignEvents', () => {
  const lists = fc.array(
    fc.constantFrom('a', 'b', 'c').map((digest) => ({ digest })),
    { maxLength: 9 },
  );

  it('keeps every event of both lists, in order, and pairs equal ones only as same', () => {
    fc.assert(
      fc.property(lists, lists, (before, after) => {
        const pairs = alignEvents(before, after);
        expect(pairs.flatMap((pair) => ('before' in pair ? [pair.before] : []))).toEqual(before);
        expect(pairs.flatMap((pair) => ('after' in pair ? [pair.after] : []))).toEqual(after);
        for (const pair of pairs)
          if (pair.change === 'same') expect(pair.before.digest).toBe(pair.after.digest);
      }),
    );
  });

  it('finds one insertion in the middle', () => {
    const list = [...'abcdef'].map((digest) => ({ digest }));
    const longer = [...list.slice(0, 3), { digest: 'x' }, ...list.slice(3)];
    const changes = alignEvents(list, longer).filter(({ change }) => change !== 'same');
    expect(changes).toEqual([{ change: 'added', after: { digest: 'x' } }]);
  });

  it('answers quickly for long lists', () => {
    const long = (prefix: string): { digest: string }[] =>
      Array.from({ length: 20_000 }, (_, i) => ({ digest: `${prefix}${i}` }));
    const started = Date.now();
    expect(alignEvents(long('a'), long('b'))).toHaveLength(20_000);
    expect(Date.now() - started).toBeLessThan(5_000);
  });
});

describe('diffMeasurements', () => {
  const before = {
    pcrs: new Map([
      [4, 'v1'],
      [7, 'same'],
      [9, 'gone'],
    ]),
    events: set,
  };
  const after = {
    pcrs: new Map([
      [4, 'v2'],
      [7, 'same'],
      [12, 'new'],
    ]),
    events: [event(4, 'aa'), event(4, 'ee'), event(4, 'cc'), event(7, 'dd')],
  };

  it('names the PCRs and events that differ', () => {
    const differences = diffMeasurements(before, after);
    expect(differences.map(({ pcr }) => pcr)).toEqual([4, 9, 12]);
    expect(differences[0]?.events).toEqual([
      { change: 'changed', before: set[1], after: event(4, 'ee') },
    ]);
    expect(differences[1]).toEqual({ pcr: 9, before: 'gone', after: undefined, events: [] });
    expect(diffMeasurements(before, before)).toEqual([]);
  });
});
