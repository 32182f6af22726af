import { type ChildProcess, spawn } from 'node:child_process';
import { access, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../common/tool-error.js';
import { requireTools } from '../build/host-tools.js';
import { boundToParent } from './bound-to-parent.js';
import { PcrReplay } from './pcr-replay.js';
import { TpmLogReader } from './tpm-log.js';

/** A fresh TPM 2.0 in software, for one boot. */
export interface SoftwareTpm {
  readonly process: ChildProcess;
  /** Where QEMU connects. */
  readonly socket: string;
  /** The PCRs as they are now, from what went to the TPM. Throws `boot.tpm-log`. */
  follow(): Promise<PcrReplay>;
}

const START_MS = 10_000;
const POLL_MS = 20;

/**
 * Starts swtpm with its state in `folder`. It logs every command, so that PCRs are known outside
 * without a way into the guest. Throws `host.tool-missing`, `boot.failed`.
 */
export async function startSoftwareTpm(folder: string): Promise<SoftwareTpm> {
  const { swtpm } = requireTools(['swtpm']);
  const state = join(folder, 'tpm');
  const socket = join(folder, 'tpm.sock');
  const log = join(folder, 'tpm.log');
  await mkdir(state, { mode: 0o700 });
  const child = spawn(
    ...boundToParent(swtpm, [
      ...['socket', '--tpm2', '--tpmstate', `dir=${state}`],
      ...['--ctrl', `type=unixio,path=${socket}`, '--log', `file=${log},level=4`],
    ]),
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  child.on('error', (error) => {
    said = error.message;
  });
  await appears(socket, child, () => said);
  return { process: child, socket, follow: followLog(log) };
}

async function appears(path: string, child: ChildProcess, said: () => string): Promise<void> {
  for (let waitedMs = 0; waitedMs < START_MS; waitedMs += POLL_MS) {
    try {
      await access(path);
      return;
    } catch {
      if (child.exitCode !== null || child.pid === undefined) break;
      await sleep(POLL_MS);
    }
  }
  child.kill('SIGKILL');
  throw new ToolError('boot.failed', {
    expected: 'swtpm to start',
    actual: said().trim() || 'it ended',
  });
}

/** Reads what was added to the log since the last time. */
function followLog(path: string): () => Promise<PcrReplay> {
  const reader = new TpmLogReader();
  const replay = new PcrReplay();
  let offset = 0;
  return async () => {
    const file = await open(path, 'r');
    try {
      const buffer = Buffer.alloc(256 * 1024);
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
        if (bytesRead === 0) return replay;
        offset += bytesRead;
        for (const entry of reader.read(buffer.toString('latin1', 0, bytesRead)))
          replay.follow(entry);
      }
    } finally {
      await file.close();
    }
  };
}
