import { randomBytes } from 'node:crypto';
import { concatBytes } from 'tee-verify/bytes';
import { describe, expect, it } from 'vitest';
import { createPrimary, flushContext } from '../../tpm/commands/keys.js';
import { pcrExtend, pcrReset } from '../../tpm/commands/pcrs.js';
import { startHmacSession } from '../../tpm/commands/sessions.js';
import { TPM_ALG, TPM_RH } from '../../tpm/constants.js';
import { TPM_RC } from '../../tpm/response-code.js';
import type { TpmSession } from '../../tpm/session.js';
import { AK_TEMPLATE } from '../../tpm/tpmt-public.js';
import { checkQuote, refused } from './checks.js';
import type { ContractBench } from './contract-bench.js';

/** What every TPM does: see `describeTpmContract`. */
export function sessionContract(bench: ContractBench): void {
  describe('HMAC sessions', () => {
    it.each([
      ['SHA-256', TPM_ALG.SHA256],
      ['SHA-384', TPM_ALG.SHA384],
      ['SHA-512', TPM_ALG.SHA512],
    ])('with %s authorise keys, quotes and PCRs', async (_, hashAlgorithm) => {
      await bench.withSession(hashAlgorithm, async (session) => {
        const key = await createPrimary(bench.client, TPM_RH.OWNER, AK_TEMPLATE, {
          session,
          encryption: { command: true, response: true },
        });
        try {
          await checkQuote(bench.client, key, session, randomBytes(32));
          await pcrExtend(bench.client, 16, new Map([[TPM_ALG.SHA384, new Uint8Array(48)]]), {
            session,
          });
          await pcrReset(bench.client, 16, { session });
        } finally {
          await flushContext(bench.client, key.handle);
        }
      });
    });
    it('go on after a refused command', async () => {
      await bench.withSession(TPM_ALG.SHA512, async (session) => {
        await refused(pcrReset(bench.client, 0, { session }), TPM_RC.LOCALITY);
        await pcrReset(bench.client, 16, { session });
      });
    });
    it('are refused once they are flushed', async () => {
      const gone = await bench.withSession(TPM_ALG.SHA256, async (session) => session);
      await refused(pcrReset(bench.client, 16, { session: gone }), TPM_RC.REFERENCE_S0);
    });
    it('need an RSA key for the salt', async () => {
      await bench.withKey(TPM_RH.OWNER, AK_TEMPLATE, async (key) => {
        await expect(startHmacSession(bench.client, key)).rejects.toMatchObject({
          code: 'tpm.unsupported',
        });
      });
    });
    it('notice a changed answer', async () => {
      await bench.withSession(TPM_ALG.SHA512, async (session) => {
        const key = await createPrimary(bench.client, TPM_RH.OWNER, AK_TEMPLATE, { session });
        await flushContext(bench.client, key.handle);
        const tampering: TpmSession = {
          authorise: (...request) => {
            const real = session.authorise(...request);
            return {
              ...real,
              accept: (auth, parameters) =>
                real.accept(auth, concatBytes(parameters, new Uint8Array([0]))),
            };
          },
        };
        await expect(pcrReset(bench.client, 16, { session: tampering })).rejects.toMatchObject({
          code: 'tpm.response-forged',
        });
      });
    });
  });
}
