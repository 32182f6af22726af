import { createClient } from 'redis';
import { AttestationError } from 'tee-verify';
import { type ChallengeStore, RESULT_CODES, type UsedChallenge } from 'tee-verify/result';

/** How the store reaches Redis. */
export interface RedisChallengeStoreOptions {
  /** e.g. `redis://127.0.0.1:6379`, `rediss://user:password@host:6380/0`. */
  readonly url: string;
  /** Starts every key; default `tee-challenge`. */
  readonly prefix?: string;
  /** Longest wait for an answer; default 1000. */
  readonly timeoutMs?: number;
  /** How far the clocks of the machines may be apart; default 5, as for the challenges. */
  readonly clockToleranceSeconds?: number;
}

/** A store that several machines share. */
export interface RedisChallengeStore extends ChallengeStore {
  check(): Promise<void>;
  close(): Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 1000;
const MAX_RECONNECT_MS = 1000;
const RETRY_MS = 50;
const SUPERVISE_MS = 250;
const REPLACE_AFTER_MS = 2000;

/**
 * One atomic step: refuse what was issued before this Redis process began to remember (-1), then
 * take the challenge (1) or find it taken (0).
 * KEYS: the challenge, the beginning. ARGV: milliseconds to keep, time of issue, now with tolerance.
 */
const CONSUME = `
local born = redis.call('GET', KEYS[2])
if not born then
  born = ARGV[3]
  redis.call('SET', KEYS[2], born)
end
if tonumber(ARGV[2]) < tonumber(born) then return -1 end
if redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then return 1 end
return 0`;

/**
 * A store of used challenges in Redis (5 or later), for as many machines as share it.
 *
 * When Redis does not answer, nothing is accepted (`challenge.store-unavailable`), and the
 * connection is made again in the background. What Redis may have forgotten (it restarted, another
 * server took over, it was flushed) is refused: every Redis process, and every turn of it as primary,
 * has a beginning of its own, and challenges issued before it are `unknown`. One that would evict keys
 * (any `maxmemory-policy` but `noeviction`) is not used: docs/challenges.md.
 *
 * Does not wait for the connection: `check` says whether it is there.
 */
export function createRedisChallengeStore(
  options: RedisChallengeStoreOptions,
): RedisChallengeStore {
  const { url, prefix = 'tee-challenge', timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const toleranceMs = (options.clockToleranceSeconds ?? 5) * 1000;
  const connect = () =>
    createClient({
      url,
      disableOfflineQueue: true,
      socket: {
        connectTimeout: timeoutMs,
        reconnectStrategy: (retries) => Math.min(25 * 2 ** Math.min(retries, 10), MAX_RECONNECT_MS),
      },
    });
  let client = connect();
  /** Who is at the other end; unknown from the first sign of trouble until it was asked. */
  let runId: string | undefined;
  let lastError: unknown;
  let connection = 0;
  let closed = false;
  /** Since when nobody is there. */
  let lostMs = Date.now();

  const lose = (error?: unknown): void => {
    connection++;
    if (runId !== undefined) lostMs = Date.now();
    runId = undefined;
    if (error !== undefined) lastError = error;
  };
  const keyOfBeginning = (id: string): string => `{${prefix}}:born:${id}`;
  const beginning = (): string => String(Date.now() + toleranceMs);

  let greeting: Promise<void> | undefined;
  /** Asks who is there. One at a time, and again until it is known: no order of events may end it. */
  function greet(): void {
    if (greeting !== undefined || runId !== undefined || closed || !client.isReady) return;
    greeting = ask()
      .catch((error: unknown) => {
        lastError = error;
      })
      .finally(() => {
        greeting = undefined;
        if (runId === undefined && !closed) setTimeout(greet, RETRY_MS).unref();
      });
  }
  async function ask(): Promise<void> {
    const mine = connection;
    const info = await inTime(client.info(), timeoutMs);
    const id = identify(String(info));
    await inTime(client.set(keyOfBeginning(id), beginning(), { condition: 'NX' }), timeoutMs);
    // Only if nothing happened to the connection since: else somebody else may have answered.
    if (mine === connection) runId = id;
  }

  function wire(): void {
    const mine = client;
    const lost = (error?: unknown): void => {
      if (client === mine) lose(error);
    };
    mine.on('error', lost);
    mine.on('end', () => lost());
    mine.on('reconnecting', () => lost());
    mine.on('ready', () => {
      lost();
      if (client === mine) greet();
    });
    mine.connect().catch(lost);
  }
  /** A connection that hangs, or gave up, is replaced: nothing may keep us away from a good Redis. */
  function supervise(): void {
    if (closed || (runId !== undefined && client.isReady)) return;
    greet();
    if (Date.now() - lostMs < REPLACE_AFTER_MS) return;
    const old = client;
    lose();
    lostMs = Date.now();
    client = connect();
    wire();
    // It may never have been open, and says so.
    try {
      old.destroy();
    } catch (error) {
      lastError = error;
    }
  }
  wire();
  const supervisor = setInterval(supervise, SUPERVISE_MS);
  supervisor.unref();

  const server = (): string => {
    if (runId !== undefined && client.isReady) return runId;
    throw unavailable(lastError);
  };
  /** No answer in time: from now on it must first say who it is. */
  const orLose = (error: unknown): never => {
    lose(error);
    throw error;
  };

  return {
    async consume({ id, issuedAtMs, keepMs }: UsedChallenge) {
      const answer = await inTime(
        client.eval(CONSUME, {
          keys: [`{${prefix}}:used:${id}`, keyOfBeginning(server())],
          arguments: [String(Math.ceil(keepMs)), String(issuedAtMs), beginning()],
        }),
        timeoutMs,
      ).catch(orLose);
      if (answer === 1) return 'fresh';
      if (answer === 0) return 'used';
      if (answer === -1) return 'unknown';
      throw unavailable(new TypeError('an answer that is none'));
    },
    async check() {
      const born = Number(
        await inTime(client.get(keyOfBeginning(server())), timeoutMs).catch(orLose),
      );
      // What was issued before would be refused: not ready until new challenges are good.
      if (!(born <= Date.now())) throw unavailable(new TypeError('it has only just started'));
    },
    async close() {
      closed = true;
      clearInterval(supervisor);
      lose();
      try {
        client.destroy();
      } catch (error) {
        lastError = error;
      }
    },
  };
}

/**
 * Who is at the other end, from INFO: the process, and the history of its data. A primary that was a
 * replica in between is the same process with another history: it may have missed what was used.
 */
function identify(info: string): string {
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1];
  const runId = field('run_id');
  if (runId === undefined) throw new TypeError('INFO has no run_id');
  const policy = field('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction' && field('maxmemory') !== '0')
    throw new TypeError(`maxmemory-policy is ${policy}, which forgets: set noeviction`);
  return `${runId}:${field('master_replid') ?? ''}`;
}

async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TypeError(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    throw unavailable(error);
  } finally {
    clearTimeout(timer);
  }
}

function unavailable(cause: unknown): AttestationError {
  if (cause instanceof AttestationError) return cause;
  return new AttestationError(RESULT_CODES['challenge.store-unavailable'], {
    expected: 'an answer of Redis',
    actual: cause instanceof Error ? cause.message || cause.name : 'no connection',
    cause,
  });
}
