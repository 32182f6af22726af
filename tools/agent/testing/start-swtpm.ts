import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSocketTransport } from '../transport/socket-transport.js';
import type { TpmTransport } from '../transport/tpm-transport.js';

/** Debian's software TPM, running for a test. */
export interface Swtpm {
  readonly port: number;
  /** For the environment of tpm2-tools: TPM2TOOLS_TCTI. */
  readonly tcti: string;
  connect(): Promise<TpmTransport>;
  stop(): Promise<void>;
}

/** Whether all of these programs are there; says loudly which are not, and fails in CI. */
export function havePrograms(...names: readonly string[]): boolean {
  const missing = names.filter(
    (name) => spawnSync('sh', ['-c', 'command -v "$1"', 'sh', name]).status !== 0,
  );
  if (missing.length === 0) return true;
  const text = `missing ${missing.join(', ')}: apt-get install $(cat scripts/system-packages.txt)`;
  if (process.env.CI !== undefined) throw new Error(text);
  console.warn(`SKIPPED: ${text}`);
  return false;
}

/** Starts swtpm with SHA-256 and SHA-384 banks and a free pair of ports. */
export async function startSwtpm(): Promise<Swtpm> {
  const folder = mkdtempSync(join(tmpdir(), 'swtpm-'));
  const setup = spawnSync(
    'swtpm_setup',
    ['--tpm2', '--tpmstate', folder, '--pcr-banks', 'sha256,sha384'],
    { encoding: 'utf8' },
  );
  if (setup.status !== 0) throw new Error(`swtpm_setup failed: ${setup.stdout}${setup.stderr}`);
  const port = await freePortPair();
  const child = spawn(
    'swtpm',
    [
      'socket',
      '--tpm2',
      ...['--tpmstate', `dir=${folder}`],
      ...['--server', `type=tcp,port=${port},bindaddr=127.0.0.1`],
      ...['--ctrl', `type=tcp,port=${port + 1},bindaddr=127.0.0.1`],
      ...['--flags', 'not-need-init,startup-clear'],
    ],
    { stdio: 'ignore' },
  );
  const connect = (): Promise<TpmTransport> =>
    openSocketTransport({ host: '127.0.0.1', port }, { timeoutMs: 20_000 });
  await waitFor(connect, child);
  return {
    port,
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    connect,
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.kill()) await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function waitFor(connect: () => Promise<TpmTransport>, child: ChildProcess): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await (await connect()).close();
      return;
    } catch (error) {
      if (attempt === 100 || child.exitCode !== null) throw error;
      await sleep(50);
    }
  }
}

/** A port whose next one is free too. */
export async function freePortPair(): Promise<number> {
  for (;;) {
    const port = await freePort(0);
    if (port < 65_535 && (await freePort(port + 1).catch(() => 0)) === port + 1) return port;
  }
}

function freePort(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}
