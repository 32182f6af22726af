import { randomBytes } from 'node:crypto';
import { encodeHex } from 'tee-verify/bytes';
import { describe, expect, it } from 'vitest';
import {
  nvBufferSize,
  nvDefineSpace,
  nvRead,
  nvReadPublic,
  nvUndefineSpace,
  nvWrite,
} from '../../tpm/commands/nv.js';
import { TPM_ALG, TPM_RH, TPMA_NV } from '../../tpm/constants.js';
import { nvName } from '../../tpm/names.js';
import { inHandle, inParameter, TPM_RC } from '../../tpm/response-code.js';
import { PASSWORD_SESSION, type TpmSession } from '../../tpm/session.js';
import { TpmResponseError } from '../../tpm/tpm-response-error.js';
import { refused } from './checks.js';
import type { ContractBench } from './contract-bench.js';

/** What every TPM does: see `describeTpmContract`. */
export function nvContract(bench: ContractBench): void {
  describe('NV indices', () => {
    it.each([
      ['password', undefined],
      ['HMAC with encrypted parameters', TPM_ALG.SHA512],
    ])('are written and read by %s', async (_, hashAlgorithm) => {
      const data = new Uint8Array(randomBytes(Math.min(2048, bench.tpm.nvIndexMax)));
      const authValue = new Uint8Array(randomBytes(64)).fill(0, 60);
      const area = bench.nvArea(data.length);
      const chunk = await nvBufferSize(bench.client);
      const roundTrip = async (session: TpmSession, encrypted: boolean): Promise<void> => {
        await nvDefineSpace(bench.client, TPM_RH.OWNER, area, authValue, {
          session,
          encryption: { command: encrypted },
        });
        let current = area;
        try {
          const by = { session, authValue };
          current = await nvWrite(bench.client, area, data, Math.min(chunk, 700), {
            ...by,
            encryption: { command: encrypted },
          });
          const { area: found, name: foundName } = await nvReadPublic(bench.client, area.nvIndex);
          expect(found).toEqual(current);
          expect(encodeHex(foundName)).toBe(encodeHex(nvName(current)));
          const read = await nvRead(
            bench.client,
            current,
            1,
            data.length - 1,
            Math.min(chunk, 512),
            {
              ...by,
              encryption: { response: encrypted },
            },
          );
          expect(encodeHex(read)).toBe(encodeHex(data.subarray(1)));
        } finally {
          await nvUndefineSpace(bench.client, TPM_RH.OWNER, current, { session });
        }
      };
      if (hashAlgorithm === undefined) await roundTrip(PASSWORD_SESSION, false);
      else await bench.withSession(hashAlgorithm, (session) => roundTrip(session, true));
    });
    it('cannot be read before they are written', async () => {
      const area = bench.nvArea(64);
      await bench.withIndex(area, new Uint8Array(0), async () => {
        await refused(
          nvRead(bench.client, area, 0, 8, 8, { session: PASSWORD_SESSION }),
          TPM_RC.NV_UNINITIALIZED,
        );
      });
    });
    it('end where they end', async () => {
      const area = bench.nvArea(64);
      await bench.withIndex(area, new Uint8Array(0), async () => {
        await refused(
          nvWrite(bench.client, area, new Uint8Array(65), 128, { session: PASSWORD_SESSION }),
          TPM_RC.NV_RANGE,
        );
        const current = await nvWrite(bench.client, area, new Uint8Array(64), 64, {
          session: PASSWORD_SESSION,
        });
        await refused(
          nvRead(bench.client, current, 60, 5, 5, { session: PASSWORD_SESSION }),
          TPM_RC.NV_RANGE,
        );
      });
    });
    it('are defined once', async () => {
      const area = bench.nvArea(16);
      await bench.withIndex(area, new Uint8Array(0), async () => {
        await refused(
          nvDefineSpace(bench.client, TPM_RH.OWNER, area, new Uint8Array(0)),
          TPM_RC.NV_DEFINED,
        );
      });
    });
    it('refuse a wrong authorisation value, by password and by HMAC', async () => {
      const area = bench.nvArea(16);
      const wrong = new Uint8Array([1, 2, 3]);
      await bench.withIndex(area, new Uint8Array([1, 2, 4]), async () => {
        const write = (session: TpmSession): Promise<unknown> =>
          nvWrite(bench.client, area, new Uint8Array(4), 64, { session, authValue: wrong });
        await expect(write(PASSWORD_SESSION)).rejects.toMatchObject({ code: 'tpm.auth-failed' });
        await bench.withSession(TPM_ALG.SHA256, async (session) => {
          await expect(write(session)).rejects.toMatchObject({ code: 'tpm.auth-failed' });
        });
      });
    });
    it('are no larger than the TPM allows', async () => {
      await refused(
        nvDefineSpace(
          bench.client,
          TPM_RH.OWNER,
          bench.nvArea(bench.tpm.nvIndexMax + 1),
          new Uint8Array(0),
        ),
        inParameter(TPM_RC.SIZE, 2),
      );
    });
    it('are missed by name', async () => {
      await refused(nvReadPublic(bench.client, 0x01800777), inHandle(TPM_RC.HANDLE, 1));
    });
    it('obey their attributes', async () => {
      const area = {
        ...bench.nvArea(16),
        attributes: TPMA_NV.OWNERWRITE | TPMA_NV.OWNERREAD | TPMA_NV.NO_DA,
      };
      await bench.withIndex(area, new Uint8Array(0), async () => {
        await expect(
          nvWrite(bench.client, area, new Uint8Array(4), 64, { session: PASSWORD_SESSION }),
        ).rejects.toBeInstanceOf(TpmResponseError);
      });
    });
  });
}
