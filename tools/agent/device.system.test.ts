import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspectAttestation } from 'tee-verify';
import { describe, expect, it } from 'vitest';
import { listen } from '../simulator/socket-server.js';
import { createSimulator } from '../simulator/tpm-simulator.js';
import { attest } from './attest.js';
import { havePrograms } from './testing/start-swtpm.js';

const ready = havePrograms('socat');
const NONCE = new Uint8Array(16).fill(3);

// A pseudo-terminal is a character device, as /dev/tpmrm0 is: one write, one read.
(ready ? describe : describe.skip)('a character device', () => {
  it('carries an attestation', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tpm-device-'));
    const device = join(folder, 'tpm0');
    const simulator = await createSimulator({ limits: { nvBufferSize: 512 } });
    await simulator.prepare();
    const { port, close } = await listen(simulator, { host: '127.0.0.1', port: 0 });
    const socat = spawn('socat', [
      `PTY,raw,echo=0,link=${device}`,
      `TCP:127.0.0.1:${port},nodelay`,
    ]);
    try {
      for (let i = 0; i < 100 && !existsSync(device); i++) await sleep(20);
      const { bundle } = await attest({ nonce: NONCE, tpm: device, timeoutMs: 5_000 });
      const report = await inspectAttestation(bundle as object, undefined, {
        nonce: NONCE,
        trustAnchors: [simulator.rootDer],
      });
      expect(report.verdict).toBe('unappraised');
      expect(simulator.inventory()).toEqual({ transient: [], sessions: [], nvIndices: [] });
    } finally {
      socat.kill();
      await close();
      rmSync(folder, { recursive: true });
    }
  });
});
