import { equalBytes } from 'tee-verify/bytes';
import { describe, expect, it } from 'vitest';
import {
  getAlgorithms,
  getCommands,
  getHandles,
  getPcrBanks,
  getProperties,
  getProperty,
} from '../../tpm/commands/capabilities.js';
import { getRandom } from '../../tpm/commands/random.js';
import { TPM_ALG, TPM_CC, TPM_PT } from '../../tpm/constants.js';
import { allPcrs } from '../../tpm/pcr-selection.js';
import type { ContractBench } from './contract-bench.js';

/** What every TPM does: see `describeTpmContract`. */
export function capabilityContract(bench: ContractBench): void {
  describe('capabilities', () => {
    it('lists properties', async () => {
      const properties = await getProperties(bench.client, 0x100, 80);
      expect(properties.get(TPM_PT.FAMILY_INDICATOR)).toBe(0x322e3000);
      expect(properties.get(TPM_PT.PCR_COUNT)).toBeGreaterThanOrEqual(24);
      expect(properties.get(TPM_PT.NV_INDEX_MAX)).toBe(bench.tpm.nvIndexMax);
      const letters = Buffer.alloc(4);
      letters.writeUInt32BE(properties.get(TPM_PT.MANUFACTURER) ?? 0);
      expect(letters.toString('latin1').replace(/\0+$/, '').trim()).toBe(bench.tpm.manufacturer);
      expect(await getProperty(bench.client, TPM_PT.NV_BUFFER_MAX)).toBeGreaterThanOrEqual(512);
      expect(await getProperty(bench.client, 0x1ff)).toBeUndefined();
    });
    it('lists algorithms, commands, banks and PCR handles', async () => {
      const algorithms = (await getAlgorithms(bench.client)).map(({ algorithm }) => algorithm);
      expect(algorithms).toEqual(
        expect.arrayContaining([TPM_ALG.ECC, TPM_ALG.ECDSA, TPM_ALG.SHA384, TPM_ALG.AES]),
      );
      expect(algorithms).toEqual([...algorithms].sort((a, b) => a - b));
      const commands = (await getCommands(bench.client)).map((attributes) => attributes & 0xffff);
      expect(commands).toEqual(
        expect.arrayContaining([TPM_CC.Quote, TPM_CC.NV_DefineSpace, TPM_CC.EvictControl]),
      );
      const banks = (await getPcrBanks(bench.client)).filter(({ indices }) => indices.length > 0);
      expect(banks).toEqual([allPcrs(TPM_ALG.SHA256), allPcrs(TPM_ALG.SHA384)]);
      expect(await getHandles(bench.client, 0)).toEqual(Array.from({ length: 24 }, (_, i) => i));
    });
  });

  it('gives random bytes', async () => {
    const [a, b] = [await getRandom(bench.client, 32), await getRandom(bench.client, 32)];
    expect([a.length, b.length]).toEqual([32, 32]);
    expect(equalBytes(a, b)).toBe(false);
    expect((await getRandom(bench.client, 1)).length).toBe(1);
  });
}
