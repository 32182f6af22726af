import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { createNodeProvider } from '../node/node-provider.js';
import {
  type MintedBundle,
  type MintPki,
  mintBundle,
  mintPki,
} from '../test-vectors/mint/index.js';
import { decodeHex } from './bytes/hex.js';
import { inspectAttestation } from './inspect-attestation.js';
import { parseEventLog } from './measure/event-log.js';
import { verifyAttestation } from './verify-attestation.js';
import { verifyAttestationSync } from './verify-attestation-sync.js';

const BOOT = new URL('../../shared/vectors/boot/', import.meta.url);
const isThere = existsSync(BOOT);
if (!isThere) {
  const message = `measured boots are absent (${BOOT.pathname}): event logs in bundles are NOT tested`;
  if (process.env.CI) throw new TypeError(message);
  console.warn(message);
}

describe.runIf(isThere)('a bundle with an event log', () => {
  let pki: MintPki;
  let minted: MintedBundle;
  let options: { nonce: Uint8Array; now: 'document'; trustAnchors: string[] };
  const log = new Uint8Array(isThere ? readFileSync(new URL('sb/eventlog.bin', BOOT)) : []);

  beforeAll(async () => {
    pki = await mintPki();
    const json = JSON.parse(readFileSync(new URL('sb/pcrs-sha384.json', BOOT), 'utf8'));
    const pcrs = new Map<number, Uint8Array>(
      Object.entries(json as Record<string, string>).map(([index, value]) => [
        Number(index),
        decodeHex(value) as Uint8Array,
      ]),
    );
    minted = await mintBundle(pki, { pcrs, eventLog: log });
    options = { nonce: minted.nonce, now: 'document', trustAnchors: [minted.anchorPem] };
  });

  it('is replayed against the signed PCRs, and the report says for each whether it is explained', async () => {
    const { report } = await verifyAttestation(minted.bundle, minted.manifest, options);
    expect(report.steps.find(({ step }) => step === 'eventlog')?.state).toBe('passed');
    const pcrs = report.eventLog && 'pcrs' in report.eventLog ? report.eventLog.pcrs : [];
    expect(pcrs).toHaveLength(24);
    expect(pcrs.filter(({ explained }) => !explained).map(({ pcr }) => pcr)).toEqual([10]);
  });

  it('attacker edits the log: the PCR is not explained, and the verdict stays with the signed PCRs', async () => {
    const edited = log.slice();
    const event = parseEventLog(log).events.find(({ pcr }) => pcr === 4);
    const digest = Buffer.from(event?.digests.get('sha384') as Uint8Array);
    const at = Buffer.from(log).indexOf(digest);
    edited[at] = (edited[at] as number) ^ 1;
    const bundle = { ...minted.bundle, event_log: Buffer.from(edited).toString('base64') };
    const { report } = await verifyAttestation(bundle, minted.manifest, options);
    const pcrs = report.eventLog && 'pcrs' in report.eventLog ? report.eventLog.pcrs : [];
    expect(pcrs.filter(({ explained }) => !explained).map(({ pcr }) => pcr)).toEqual([4, 10]);
    expect(report.verdict).toBe('verified');
  });

  it('attacker sends garbage for a log: a finding, not a verdict', async () => {
    const bundle = { ...minted.bundle, event_log: Buffer.from('garbage').toString('base64') };
    const { report } = await verifyAttestation(bundle, minted.manifest, options);
    const step = report.steps.find((one) => one.step === 'eventlog');
    expect(step?.state).toBe('not-run');
    expect(step?.note).toMatch(/^the event log says nothing: eventlog\./);
    expect(report.eventLog).toMatchObject({ code: expect.stringMatching(/^eventlog\./) });
  });

  it('never makes up for a PCR that differs, and names the event when the manifest lists its own', async () => {
    const [set] = minted.manifest.measurementSets;
    const wrong = 'ab'.repeat(48);
    const manifest = {
      ...minted.manifest,
      measurementSets: [
        {
          ...set,
          pcrs: { ...set?.pcrs, 4: wrong },
          events: [{ pcr: 4, digest: wrong, description: 'UKI (Authenticode digest)' }],
        },
      ],
    };
    const report = await inspectAttestation(minted.bundle, manifest, options);
    expect(report).toMatchObject({ verdict: 'rejected', code: 'pcr.mismatch', step: 'pcr' });
    expect(report.appraisal?.explanation.join('\n')).toContain('PCR4 differs');
    expect(report.appraisal?.explanation.join('\n')).toContain(wrong);
  });

  it('is said to be skipped where nothing can be awaited', () => {
    const provider = createNodeProvider();
    const { report } = verifyAttestationSync(minted.bundle, minted.manifest, {
      ...options,
      provider,
    });
    expect(report.steps.find(({ step }) => step === 'eventlog')).toMatchObject({
      state: 'not-run',
      note: 'not in synchronous verification',
    });
  });
});
