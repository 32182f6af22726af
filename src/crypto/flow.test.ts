import { describe, expect, it } from 'vitest';
import { AttestationError } from '../result/attestation-error.js';
import type { Code } from '../result/codes.js';
import { rejectionOf, thrownBy } from '../test-support/rejection.js';
import { createEngine } from './engine.js';
import { type Flow, isPromiseLike, type MaybePromise, runFlow, runFlowSync, wait } from './flow.js';
import type { CryptoProvider } from './provider.js';

function* sum(...values: MaybePromise<number>[]): Flow<number> {
  let total = 0;
  for (const value of values) total += yield* wait(value);
  return total;
}

describe('flows', () => {
  it('give the same result awaited and straight through', async () => {
    expect(runFlowSync(sum(1, 2, 3))).toBe(6);
    expect(await runFlow(sum(1, 2, 3))).toBe(6);
    expect(await runFlow(sum(1, Promise.resolve(2), 3))).toBe(6);
  });

  it('take any thenable', async () => {
    // biome-ignore lint/suspicious/noThenProperty: a promise of another library
    const foreign = { then: (done: (value: number) => void) => done(5) } as PromiseLike<number>;
    expect(await runFlow(sum(foreign))).toBe(5);
    for (const value of [null, undefined, 5, 'then', {}, JSON.parse('{"then":5}')])
      expect(isPromiseLike(value as unknown)).toBe(false);
  });

  it('deliver rejections where they are awaited, so that they can be caught', async () => {
    function* careful(): Flow<string> {
      try {
        return yield* wait<string>(Promise.reject(new Error('lost')));
      } catch (error) {
        return `caught ${(error as Error).message}`;
      }
    }
    expect(await runFlow(careful())).toBe('caught lost');
  });

  it('let rejections and exceptions out unchanged', async () => {
    const error = new AttestationError('cbor.malformed');
    expect(await rejectionOf(runFlow(sum(Promise.reject(error))))).toBe(error);
    // biome-ignore lint/correctness/useYield: it throws before it could
    function* failing(): Flow<never> {
      throw error;
    }
    expect(await rejectionOf(runFlow(failing()))).toBe(error);
    expect(thrownBy(() => runFlowSync(failing()))).toBe(error);
  });

  it('a pause in the synchronous driver is a TypeError, and leaves no unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', listen);
    expect(thrownBy(() => runFlowSync(sum(Promise.reject(new Error('lost')))))).toBeInstanceOf(
      TypeError,
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off('unhandledRejection', listen);
    expect(unhandled).toEqual([]);
  });
});

describe('createEngine', () => {
  const ARGS = ['ES384', new Uint8Array(97), new Uint8Array(1), new Uint8Array(96)] as const;
  const engineOf = (provider: Partial<Record<'verify' | 'digest', () => unknown>>) =>
    createEngine('odd', { name: 'odd', ...provider } as unknown as CryptoProvider);
  const outcome = async (call: () => MaybePromise<unknown>): Promise<unknown> => {
    try {
      return await call();
    } catch (error) {
      expect(error).toBeInstanceOf(AttestationError);
      return (error as { code: Code }).code;
    }
  };

  it.each<readonly [string, unknown]>([
    ['1', 1],
    ['"true"', 'true'],
    ['an object', {}],
    ['a list', [true]],
    ['a Boolean object', new Boolean(true)],
    ['a Uint8Array', new Uint8Array(1)],
    ['undefined', undefined],
    ['null', null],
    ['NaN', Number.NaN],
    ['a function', () => true],
    ['false', false],
  ])('%s from verify is not a valid signature', async (_name, answer) => {
    expect(await outcome(() => engineOf({ verify: () => answer }).verify(...ARGS))).toBe(false);
    expect(await outcome(() => engineOf({ verify: async () => answer }).verify(...ARGS))).toBe(
      false,
    );
  });

  it('true is', async () => {
    expect(engineOf({ verify: () => true }).verify(...ARGS)).toBe(true);
    expect(await engineOf({ verify: async () => true }).verify(...ARGS)).toBe(true);
  });

  it.each<readonly [string, () => unknown]>([
    [
      'throws',
      () => {
        throw new RangeError('x');
      },
    ],
    ['rejects', () => Promise.reject(new RangeError('x'))],
    ['rejects with nothing', () => Promise.reject()],
    [
      'throws text',
      () => {
        throw 'x';
      },
    ],
  ])('a provider that %s fails as crypto.failed', async (_name, answer) => {
    expect(await outcome(() => engineOf({ verify: answer }).verify(...ARGS))).toBe('crypto.failed');
    expect(await outcome(() => engineOf({ digest: answer }).digest('SHA-256', ARGS[1]))).toBe(
      'crypto.failed',
    );
  });

  it('a provider without these functions fails as crypto.failed', async () => {
    expect(await outcome(() => engineOf({}).verify(...ARGS))).toBe('crypto.failed');
    expect(await outcome(() => engineOf({}).digest('SHA-256', ARGS[1]))).toBe('crypto.failed');
  });

  it('keeps the cause', async () => {
    const cause = new RangeError('x');
    const error = await rejectionOf(
      Promise.resolve(engineOf({ verify: () => Promise.reject(cause) }).verify(...ARGS)),
    );
    expect((error as Error).cause).toBe(cause);
  });

  it.each<readonly [string, unknown]>([
    ['too short', new Uint8Array(31)],
    ['too long', new Uint8Array(33)],
    ['empty', new Uint8Array(0)],
    ['of SHA-384', new Uint8Array(48)],
    ['text', 'a'.repeat(32)],
    ['a list', Array(32).fill(0)],
    ['an ArrayBuffer', new ArrayBuffer(32)],
    ['undefined', undefined],
    ['null', null],
    ['true', true],
  ])('a digest that is %s fails as crypto.failed', async (_name, answer) => {
    for (const digest of [() => answer, async () => answer])
      expect(await outcome(() => engineOf({ digest }).digest('SHA-256', ARGS[1]))).toBe(
        'crypto.failed',
      );
  });

  it.each([
    ['SHA-1', 20],
    ['SHA-256', 32],
    ['SHA-384', 48],
    ['SHA-512', 64],
  ] as const)('%s has %i bytes', async (algorithm, size) => {
    const digest = new Uint8Array(size);
    expect(await engineOf({ digest: async () => digest }).digest(algorithm, ARGS[1])).toBe(digest);
  });

  it('a check that nobody waits for is no unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', listen);
    engineOf({ verify: () => Promise.reject(new Error('x')) }).verify(...ARGS);
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off('unhandledRejection', listen);
    expect(unhandled).toEqual([]);
  });
});
