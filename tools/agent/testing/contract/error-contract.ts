import { describe, it } from 'vitest';
import { TPM_CC } from '../../tpm/constants.js';
import { written } from '../../tpm/read-structure.js';
import { inParameter, TPM_RC } from '../../tpm/response-code.js';
import { refused } from './checks.js';
import type { ContractBench } from './contract-bench.js';

/** What every TPM does: see `describeTpmContract`. */
export function errorContract(bench: ContractBench): void {
  describe('errors', () => {
    it('of unknown commands', async () => {
      await refused(bench.client.execute({ code: 0x1fe }), TPM_RC.COMMAND_CODE);
    });
    it('of missing authorisation', async () => {
      await refused(
        bench.client.execute({ code: TPM_CC.PCR_Reset, handles: [16] }),
        TPM_RC.AUTH_MISSING,
      );
    });
    it('of parameters that end early or go on', async () => {
      await refused(
        bench.client.execute({ code: TPM_CC.GetRandom, parameters: new Uint8Array(1) }),
        inParameter(TPM_RC.INSUFFICIENT, 1),
      );
      await refused(
        bench.client.execute({ code: TPM_CC.GetRandom, parameters: new Uint8Array(3) }),
        TPM_RC.SIZE,
      );
    });
    it('of capabilities that do not exist', async () => {
      await refused(
        bench.client.execute({
          code: TPM_CC.GetCapability,
          parameters: written((writer) => writer.u32(0x77).u32(0).u32(1)),
        }),
        inParameter(TPM_RC.VALUE, 1),
      );
    });
    it('of a second start', async () => {
      await refused(
        bench.client.execute({ code: TPM_CC.Startup, parameters: new Uint8Array(2) }),
        TPM_RC.INITIALIZE,
      );
    });
  });
}
