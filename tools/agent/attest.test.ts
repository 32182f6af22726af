import { inspectAttestation } from 'tee-verify';
import { expect, it } from 'vitest';
import { createSimulator } from '../simulator/tpm-simulator.js';
import { attest } from './attest.js';

it('smoke', async () => {
  const simulator = await createSimulator();
  const nonce = new Uint8Array(32).fill(7);
  for (const session of ['password', 'hmac'] as const) {
    const t = performance.now();
    const { bundle } = await attest({ nonce, session, transport: await simulator.transport() });
    console.log(session, performance.now() - t);
    const report = await inspectAttestation(bundle as object, undefined, {
      nonce,
      trustAnchors: [simulator.rootDer],
    });
    expect(report.verdict).toBe('unappraised');
    expect(simulator.inventory()).toEqual({ transient: [], sessions: [], nvIndices: [] });
  }
});
