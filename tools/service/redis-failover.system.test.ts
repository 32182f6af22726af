import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createChallenges } from 'tee-verify/result';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { createRedisChallengeStore, type RedisChallengeStore } from './redis-challenge-store.js';

const isRedisThere = spawnSync('redis-server', ['--version']).status === 0;
if (!isRedisThere) {
  const message = 'redis-server is missing: the tests of failover and eviction did not run';
  if (process.env.CI !== undefined) throw new Error(message);
  process.stderr.write(`\nSKIPPED: ${message}\n\n`);
}

const folder = mkdtempSync(join(tmpdir(), 'tee-redis-failover-'));
const children: ChildProcess[] = [];
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rmSync(folder, { recursive: true }));

const AUDIENCE = 'payments';
const cli = (port: number, ...args: string[]): string =>
  execFileSync('redis-cli', ['-p', String(port), ...args], { encoding: 'utf8' });

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}
async function startRedis(...args: string[]): Promise<number> {
  const probe = createServer();
  const port = await listening(probe);
  await new Promise((resolve) => probe.close(resolve));
  const child = spawn(
    'redis-server',
    [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
      ...['--dbfilename', `${port}.rdb`, '--repl-diskless-sync-delay', '0', ...args],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  children.push(child);
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (data) => {
      if (String(data).includes('Ready to accept')) resolve();
    });
  });
  return port;
}
async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const untilMs = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > untilMs) throw new Error(`${what} did not happen`);
    await sleep(25);
  }
}
function open(port: number): RedisChallengeStore {
  const url = `redis://127.0.0.1:${port}`;
  const store = createRedisChallengeStore({ url, clockToleranceSeconds: 0, timeoutMs: 4000 });
  ends.push(() => store.close());
  return store;
}
const isUp = (store: RedisChallengeStore): Promise<boolean> =>
  store.check().then(
    () => true,
    () => false,
  );
const challengesOf = (store: RedisChallengeStore) =>
  createChallenges({ key: new Uint8Array(32).fill(5), store, clockToleranceSeconds: 0 });

describe.runIf(isRedisThere)('a primary that is primary again', () => {
  it('does not accept what was used while it was none and did not hear of it', async () => {
    const a = await startRedis();
    const b = await startRedis('--replicaof', `127.0.0.1 ${a}`);
    let primary = a;
    const sockets = new Set<Socket>();
    const proxy = createServer((client) => {
      const upstream = connect(primary, '127.0.0.1');
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        sockets.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => other.destroy());
      }
      client.pipe(upstream).pipe(client);
    });
    const store = open(await listening(proxy));
    ends.push(() => proxy.close());
    const failOver = async (to: number): Promise<void> => {
      primary = to;
      for (const socket of sockets) socket.destroy();
      await until(async () => !(await isUp(store)), 'the loss');
      await until(() => isUp(store), 'the connection');
      await sleep(5);
    };

    await until(() => isUp(store), 'the connection');
    await until(() => /master_link_status:up/.test(cli(b, 'INFO', 'replication')), 'replication');
    cli(b, 'REPLICAOF', 'NO', 'ONE');
    cli(a, 'REPLICAOF', '127.0.0.1', String(b));
    await failOver(b);
    await until(() => /master_link_status:up/.test(cli(a, 'INFO', 'replication')), 'replication');
    // The last writes do not get through.
    cli(a, 'REPLICAOF', 'NO', 'ONE');
    const challenges = challengesOf(store);
    const { nonce } = challenges.issue(AUDIENCE);
    await challenges.consume(nonce, AUDIENCE);
    await failOver(a);
    await expect(challenges.consume(nonce, AUDIENCE)).rejects.toMatchObject({
      code: 'challenge.store-restarted',
    });
  });
});

describe.runIf(isRedisThere)('a Redis that drops keys when it is full', () => {
  it('is not used, and the error says why', async () => {
    const port = await startRedis('--maxmemory', '100mb', '--maxmemory-policy', 'volatile-lru');
    const store = open(port);
    const challenges = challengesOf(store);
    await sleep(1000);
    await expect(
      challenges.consume(challenges.issue(AUDIENCE).nonce, AUDIENCE),
    ).rejects.toMatchObject({
      code: 'challenge.store-unavailable',
      message: expect.stringContaining('noeviction'),
    });
    cli(port, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await until(() => isUp(store), 'the connection');
    await sleep(5);
    await challenges.consume(challenges.issue(AUDIENCE).nonce, AUDIENCE);
  });
});
