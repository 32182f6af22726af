import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeHex } from 'tee-verify/bytes';
import { describe, expect, it } from 'vitest';
import { TPM_ALG } from '../agent/tpm/constants.js';
import { tpmHash } from '../agent/tpm/names.js';
import { bootFromManifest, replayBoot } from './boot-state.js';
import { createSimulator } from './tpm-simulator.js';

const BOOTS = join(import.meta.dirname, '../../../shared/vectors/boot');

/** A crypto-agile log (TCG PC Client Platform Firmware Profile, 10.4.5) with SHA-384 only. */
function eventLog(events: readonly (readonly [pcr: number, digest: Uint8Array])[]): Uint8Array {
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const specId = Buffer.concat([
    Buffer.from('Spec ID Event03\0'),
    u32(0),
    Buffer.from([0, 2, 0, 2]),
    u32(1),
    Buffer.from([0x0c, 0, 48, 0, 0]),
  ]);
  const header = Buffer.concat([u32(0), u32(3), Buffer.alloc(20), u32(specId.length), specId]);
  const body = events.map(([pcr, digest]) =>
    Buffer.concat([u32(pcr), u32(0x0d), u32(1), Buffer.from([0x0c, 0]), digest, u32(0)]),
  );
  return Buffer.concat([header, ...body]);
}

describe('replayBoot', () => {
  it('extends PCRs as the log says', async () => {
    const simulator = await createSimulator();
    const [a, b] = [new Uint8Array(48).fill(1), new Uint8Array(48).fill(2)];
    await replayBoot(
      simulator,
      eventLog([
        [4, a],
        [4, b],
        [7, a],
      ]),
    );
    const once = tpmHash(TPM_ALG.SHA384, new Uint8Array(48), a);
    expect(encodeHex(simulator.readPcr(4))).toBe(encodeHex(tpmHash(TPM_ALG.SHA384, once, b)));
    expect(encodeHex(simulator.readPcr(7))).toBe(encodeHex(once));
    expect(simulator.readPcr(5).every((byte) => byte === 0)).toBe(true);
    expect(simulator.readPcr(4, TPM_ALG.SHA256).every((byte) => byte === 0)).toBe(true);
  });
  it('needs a bank that both have', async () => {
    const simulator = await createSimulator({ banks: [TPM_ALG.SHA256] });
    await expect(replayBoot(simulator, eventLog([]))).rejects.toMatchObject({
      code: 'simulator.option-invalid',
    });
  });
  it('refuses what is no log', async () => {
    const simulator = await createSimulator();
    await expect(replayBoot(simulator, new Uint8Array(3))).rejects.toMatchObject({
      name: 'AttestationError',
    });
  });

  const present = existsSync(BOOTS);
  if (!present) {
    if (process.env.CI !== undefined) throw new Error(`${BOOTS} is missing`);
    console.warn(`SKIPPED: real boots, because ${BOOTS} is missing`);
  }
  it.skipIf(!present).each(['base', 'sb', 'loadopts', 'v257'])(
    'gives the PCRs of a real boot (%s)',
    async (name) => {
      const simulator = await createSimulator();
      await replayBoot(simulator, readFileSync(join(BOOTS, name, 'eventlog.bin')));
      const expected = readPcrs(join(BOOTS, name));
      expect(expected.size).toBe(24);
      for (const [index, value] of expected)
        if (index !== 10) expect(encodeHex(simulator.readPcr(index)), `PCR ${index}`).toBe(value);
    },
  );
});

describe('bootFromManifest', () => {
  const pcr = (byte: string): string => byte.repeat(48);
  it("reads AWS's form", async () => {
    const simulator = await createSimulator();
    bootFromManifest(simulator, {
      Measurements: { HashAlgorithm: 'SHA384', PCR4: pcr('aa'), PCR12: pcr('00') },
    });
    expect(encodeHex(simulator.readPcr(4))).toBe(pcr('aa'));
  });
  it('takes the first set that is not revoked, or the one that is named', async () => {
    const manifest = {
      version: 1,
      name: 'image',
      platform: 'nitrotpm',
      hashAlgorithm: 'SHA384',
      measurementSets: [
        { label: 'old', pcrs: { 4: pcr('11'), 12: pcr('00') }, revoked: { reason: 'old' } },
        { label: 'new', pcrs: { 4: pcr('22'), 12: pcr('00') } },
      ],
    };
    const simulator = await createSimulator();
    bootFromManifest(simulator, manifest);
    expect(encodeHex(simulator.readPcr(4))).toBe(pcr('22'));
    bootFromManifest(simulator, JSON.stringify(manifest), 'old');
    expect(encodeHex(simulator.readPcr(4))).toBe(pcr('11'));
    expect(() => bootFromManifest(simulator, manifest, 'none')).toThrow(
      expect.objectContaining({ code: 'simulator.option-invalid' }),
    );
  });
});

function readPcrs(folder: string): Map<number, string> {
  const text = readFileSync(join(folder, 'pcrs-sha384.json'), 'utf8');
  const pcrs = JSON.parse(text) as Record<string, string>;
  return new Map(
    Object.entries(pcrs).map(([index, value]) => [Number(index), value.toLowerCase()]),
  );
}
