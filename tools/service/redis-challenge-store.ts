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
 * server took over, it was flushed) is refused: every Redis process has a beginning of its own, and
 * challenges issued before it are `unknown`. Set `maxmemory-policy noeviction`: docs/challenges.md.
 *
 * Does not wait for the connection: `check` says whether it is there.
 */
export function createRedisChallengeStore(
  options: RedisChallengeStoreOptions,
): RedisChallengeStore {
  const { url, prefix = 'tee-challenge', timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const toleranceMs = (options.clockToleranceSeconds ?? 5) * 1000;
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: {
      connectTimeout: timeoutMs,
      reconnectStrategy: (retries) => Math.min(25 * 2 ** Math.min(retries, 10), MAX_RECONNECT_MS),
    },
  });
  /** The Redis process at the other end; unknown from the first sign of trouble until it was asked. */
  let runId: string | undefined;
  let lastError: unknown;
  let connection = 0;
  let closed = false;

  const lose = (error?: unknown): void => {
    connection++;
    runId = undefined;
    if (error !== undefined) lastError = error;
  };
  const keyOfBeginning = (id: string): string => `{${prefix}}:born:${id}`;
  const beginning = (): string => String(Date.now() + toleranceMs);

  async function greet(): Promise<void> {
    lose();
    const mine = connection;
    try {
      const info = await client.info('server');
      const id = /^run_id:(\S+)/m.exec(String(info))?.[1];
      if (id === undefined) throw new TypeError('INFO server has no run_id');
      await client.set(keyOfBeginning(id), beginning(), { condition: 'NX' });
      if (mine === connection) runId = id;
    } catch (error) {
      lastError = error;
      if (mine === connection && client.isReady)
        setTimeout(() => {
          if (mine === connection && !closed) greet().catch(() => undefined);
        }, 100).unref();
    }
  }
  client.on('error', lose);
  client.on('end', lose);
  client.on('reconnecting', () => lose());
  client.on('ready', () => {
    greet().catch(() => undefined);
  });
  client.connect().catch(lose);

  const server = (): string => {
    if (runId !== undefined && client.isReady) return runId;
    throw unavailable(lastError);
  };

  return {
    async consume({ id, issuedAtMs, keepMs }: UsedChallenge) {
      const answer = await inTime(
        client.eval(CONSUME, {
          keys: [`{${prefix}}:used:${id}`, keyOfBeginning(server())],
          arguments: [String(Math.ceil(keepMs)), String(issuedAtMs), beginning()],
        }),
        timeoutMs,
      );
      if (answer === 1) return 'fresh';
      if (answer === 0) return 'used';
      if (answer === -1) return 'unknown';
      throw unavailable(new TypeError('an answer that is none'));
    },
    async check() {
      const born = Number(await inTime(client.get(keyOfBeginning(server())), timeoutMs));
      // What was issued before would be refused: not ready until new challenges are good.
      if (!(born <= Date.now())) throw unavailable(new TypeError('it has only just started'));
    },
    async close() {
      closed = true;
      lose();
      client.destroy();
    },
  };
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
