import { createHash, randomBytes } from 'node:crypto';
import { encodeHex } from 'tee-verify/bytes';
import { describe, expect, it } from 'vitest';
import { pcrExtend, pcrRead, pcrReset, readPcrs } from '../../tpm/commands/pcrs.js';
import { TPM_ALG } from '../../tpm/constants.js';
import { allPcrs } from '../../tpm/pcr-selection.js';
import { inHandle, TPM_RC } from '../../tpm/response-code.js';
import { refused } from './checks.js';
import type { ContractBench } from './contract-bench.js';

/** What every TPM does: see `describeTpmContract`. */
export function pcrContract(bench: ContractBench): void {
  describe('PCRs', () => {
    it('reads a whole bank, in as many calls as it takes', async () => {
      const { values } = await readPcrs(bench.client, allPcrs(TPM_ALG.SHA384));
      expect([...values.keys()]).toEqual(Array.from({ length: 24 }, (_, i) => i));
      for (const [index, value] of values) {
        expect(value.length).toBe(48);
        const fill = index >= 17 && index <= 22 ? 0xff : 0;
        if (index !== 10) expect(value.every((byte) => byte === fill)).toBe(true);
      }
    });
    it('says that a bank is not allocated', async () => {
      await expect(readPcrs(bench.client, allPcrs(TPM_ALG.SHA1))).rejects.toMatchObject({
        code: 'tpm.unsupported',
      });
    });
    it('reads two banks in one call', async () => {
      const { digests, selections } = await pcrRead(bench.client, [
        { hashAlgorithm: TPM_ALG.SHA256, indices: [0, 17] },
        { hashAlgorithm: TPM_ALG.SHA384, indices: [3] },
      ]);
      expect(digests.map((digest) => digest.length)).toEqual([32, 32, 48]);
      expect(selections.map(({ indices }) => indices)).toEqual([[0, 17], [3]]);
    });
    it('extends and resets PCR 16 in both banks', async () => {
      const read = async (algorithm: number): Promise<Uint8Array> =>
        (await readPcrs(bench.client, { hashAlgorithm: algorithm, indices: [16] })).values.get(
          16,
        ) as Uint8Array;
      await pcrReset(bench.client, 16);
      const [event256, event384] = [randomBytes(32), randomBytes(48)];
      await pcrExtend(
        bench.client,
        16,
        new Map([
          [TPM_ALG.SHA256, event256],
          [TPM_ALG.SHA384, event384],
        ]),
      );
      expect(encodeHex(await read(TPM_ALG.SHA256))).toBe(
        createHash('sha256').update(new Uint8Array(32)).update(event256).digest('hex'),
      );
      expect(encodeHex(await read(TPM_ALG.SHA384))).toBe(
        createHash('sha384').update(new Uint8Array(48)).update(event384).digest('hex'),
      );
      await pcrReset(bench.client, 16);
      expect((await read(TPM_ALG.SHA384)).every((byte) => byte === 0)).toBe(true);
    });
    it('counts changes of PCR 10, but not of PCR 16 and 23', async () => {
      const counter = async (): Promise<number> =>
        (await pcrRead(bench.client, [{ hashAlgorithm: TPM_ALG.SHA384, indices: [0] }]))
          .updateCounter;
      const event = new Map([[TPM_ALG.SHA384, new Uint8Array(48)]]);
      const start = await counter();
      await pcrExtend(bench.client, 16, event);
      await pcrExtend(bench.client, 23, event);
      expect(await counter()).toBe(start);
      await pcrExtend(bench.client, 10, event);
      expect(await counter()).toBeGreaterThan(start);
    });
    it('keeps to the localities of the PC Client profile', async () => {
      const event = new Map([[TPM_ALG.SHA384, new Uint8Array(48)]]);
      for (const index of [17, 18, 19, 20, 21, 22])
        await refused(pcrExtend(bench.client, index, event), TPM_RC.LOCALITY);
      for (const index of [0, 7, 15, 17, 22])
        await refused(pcrReset(bench.client, index), TPM_RC.LOCALITY);
      await pcrReset(bench.client, 23);
    });
    it('knows no PCR 24', async () => {
      await refused(pcrReset(bench.client, 24), inHandle(TPM_RC.VALUE, 1));
    });
  });
}
