import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { expectRejection, rejectionOf, thrownBy } from '../test-support/rejection.js';
import { type ChallengeStore, createMemoryChallengeStore } from './challenge-store.js';
import { type ChallengesOptions, createChallenges } from './challenges.js';
import type { Code } from './codes.js';

const KEY = new Uint8Array(32).fill(1);
const OTHER = new Uint8Array(32).fill(2);
const AUDIENCE = 'https://payments.example';

function setUp(options: Partial<ChallengesOptions> = {}) {
  const time = { nowMs: Date.now() + 1000 };
  const make = (more: Partial<ChallengesOptions> = {}) =>
    createChallenges({ key: KEY, clock: () => time.nowMs, ...options, ...more });
  return { time, make, challenges: make() };
}
async function refused(promise: Promise<unknown>, code: Code): Promise<void> {
  expectRejection(await rejectionOf(promise), code);
}

describe('challenges', () => {
  it('are accepted once, as bytes or hex in either case', async () => {
    const { challenges } = setUp();
    const { nonce } = challenges.issue(AUDIENCE);
    expect(nonce).toHaveLength(48);
    challenges.check(nonce, AUDIENCE);
    const hex = Buffer.from(nonce).toString('hex');
    await challenges.consume(hex.toUpperCase(), AUDIENCE);
    await refused(challenges.consume(nonce, AUDIENCE), 'challenge.replayed');
    await refused(challenges.consume(hex, AUDIENCE), 'challenge.replayed');
  });

  it('two machines with one key and one store share them; 200 at once give one yes', async () => {
    const store = createMemoryChallengeStore();
    const { make } = setUp();
    const machines = [make({ store }), make({ store })];
    const { nonce } = (machines[0] as (typeof machines)[0]).issue(AUDIENCE);
    const ends = await Promise.allSettled(
      Array.from({ length: 200 }, (_, i) => machines[i % 2]?.consume(nonce, AUDIENCE)),
    );
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('expire, and come from no future', async () => {
    const { challenges, time } = setUp({ lifetimeSeconds: 10, clockToleranceSeconds: 2 });
    const start = time.nowMs;
    const issued = () => {
      time.nowMs = start;
      return challenges.issue(AUDIENCE);
    };
    const first = issued();
    expect(first.expiresAtMs).toBe(start + 10_000);
    time.nowMs = start + 12_000;
    await challenges.consume(first.nonce, AUDIENCE);
    const second = issued();
    time.nowMs = start + 12_001;
    await refused(challenges.consume(second.nonce, AUDIENCE), 'challenge.expired');
    const third = issued();
    time.nowMs = start - 2000;
    challenges.check(third.nonce, AUDIENCE);
    time.nowMs = start - 2001;
    await refused(challenges.consume(third.nonce, AUDIENCE), 'challenge.clock-skew');
  });

  it('are for one audience and one key', async () => {
    const { challenges, make } = setUp();
    const { nonce } = challenges.issue(AUDIENCE);
    await refused(challenges.consume(nonce, `${AUDIENCE}/`), 'challenge.wrong-audience');
    await refused(make({ key: OTHER }).consume(nonce, AUDIENCE), 'challenge.forged');
    // The key changes without a gap; the new one does not make the old one's challenges new.
    const store = createMemoryChallengeStore();
    const before = make({ store });
    const old = before.issue(AUDIENCE).nonce;
    const rotated = make({ key: OTHER, previousKeys: [KEY], store });
    await rotated.consume(old, AUDIENCE);
    await refused(before.consume(old, AUDIENCE), 'challenge.replayed');
    await refused(before.consume(rotated.issue(AUDIENCE).nonce, AUDIENCE), 'challenge.forged');
  });

  it('every bit counts', async () => {
    const { challenges } = setUp();
    const { nonce } = challenges.issue(AUDIENCE);
    for (let bit = 0; bit < nonce.length * 8; bit++) {
      const changed = nonce.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      const code = bit < 8 ? 'challenge.malformed' : 'challenge.forged';
      expectRejection(
        thrownBy(() => challenges.check(changed, AUDIENCE)),
        code,
      );
    }
    challenges.check(nonce, AUDIENCE);
  });

  it('anything else is malformed or forged', async () => {
    const { challenges } = setUp();
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 80 }), fc.string()), async (nonce) => {
        const error = await rejectionOf(challenges.consume(nonce, AUDIENCE));
        expect((error as { code: Code }).code).toMatch(/^challenge\.(malformed|forged)$/);
      }),
    );
    for (const nonce of [undefined, null, 5, {}, [1]])
      await refused(challenges.consume(nonce as never, AUDIENCE), 'challenge.malformed');
  });

  it('a store that fails, or says anything odd, accepts nothing', async () => {
    const stores: readonly (readonly [ChallengeStore['consume'], Code])[] = [
      [() => Promise.reject(new Error('down')), 'challenge.store-unavailable'],
      [
        () => {
          throw new Error('down');
        },
        'challenge.store-unavailable',
      ],
      [async () => 'unknown', 'challenge.store-restarted'],
      [async () => undefined as never, 'challenge.store-restarted'],
      [async () => true as never, 'challenge.store-restarted'],
    ];
    for (const [consume, code] of stores) {
      const { challenges } = setUp({ store: { consume } });
      await refused(challenges.consume(challenges.issue(AUDIENCE).nonce, AUDIENCE), code);
    }
  });

  it.each<readonly [string, object]>([
    ['a short key', { key: new Uint8Array(31) }],
    ['a key as text', { key: 'x'.repeat(64) }],
    ['a short previous key', { previousKeys: [new Uint8Array(1)] }],
    ['a lifetime of 0', { lifetimeSeconds: 0 }],
    ['a lifetime of a day', { lifetimeSeconds: 86_400 }],
    ['a tolerance of an hour', { clockToleranceSeconds: 3600 }],
    ['a lost store', { store: undefined }],
    ['a misspelled lifetime', { lifetimeSecond: 5 }],
  ])('%s is a TypeError', (_name, options) => {
    expect(thrownBy(() => setUp(options))).toBeInstanceOf(TypeError);
  });

  it('a clock that gives no number accepts nothing', async () => {
    let nowMs = Date.now();
    const { challenges } = setUp({ clock: () => nowMs });
    const { nonce } = challenges.issue(AUDIENCE);
    nowMs = Number.NaN;
    await refused(challenges.consume(nonce, AUDIENCE), 'challenge.expired');
  });

  it('no audience is a TypeError', () => {
    const { challenges } = setUp();
    for (const audience of ['', undefined, 'x'.repeat(1025)])
      expect(thrownBy(() => challenges.issue(audience as never))).toBeInstanceOf(TypeError);
  });
});

describe('the store in memory', () => {
  const used = (id: string, keepMs = 60_000) => ({ id, issuedAtMs: Date.now() + 1000, keepMs });

  it('never forgets before the time: when full it refuses', async () => {
    const store = createMemoryChallengeStore({ capacity: 2 });
    expect(await store.consume(used('a'))).toBe('fresh');
    expect(await store.consume(used('b', 1))).toBe('fresh');
    await refused(store.consume(used('c')), 'challenge.store-full');
    expect(await store.consume(used('a'))).toBe('used');
  });

  it('makes room when the time has come', async () => {
    const store = createMemoryChallengeStore({ capacity: 1 });
    expect(await store.consume(used('a', 0))).toBe('fresh');
    await new Promise((resolve) => setTimeout(resolve, 2));
    expect(await store.consume(used('b'))).toBe('fresh');
  });

  it('a clock that is set forward and back makes it forget nothing', async () => {
    let aheadMs = 0;
    const real = Date.now;
    const spy = vi.spyOn(Date, 'now').mockImplementation(() => real() + aheadMs);
    try {
      const store = createMemoryChallengeStore();
      expect(await store.consume(used('a'))).toBe('fresh');
      aheadMs = 3_600_000;
      expect(await store.consume(used('b'))).toBe('fresh');
      aheadMs = 0;
      expect(await store.consume(used('a'))).toBe('used');
    } finally {
      spy.mockRestore();
    }
  });

  it('knows nothing of what was issued before it was made: a restart opens no window', async () => {
    const before = setUp({ clock: Date.now });
    const { nonce } = before.challenges.issue(AUDIENCE);
    await before.challenges.consume(nonce, AUDIENCE);
    await new Promise((resolve) => setTimeout(resolve, 2));
    const after = setUp({ clock: Date.now });
    await refused(after.challenges.consume(nonce, AUDIENCE), 'challenge.store-restarted');
  });
});
