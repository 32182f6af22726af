import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { capabilityContract } from './contract/capability-contract.js';
import { ContractBench, type TpmUnderTest } from './contract/contract-bench.js';
import { errorContract } from './contract/error-contract.js';
import { keyContract } from './contract/key-contract.js';
import { nvContract } from './contract/nv-contract.js';
import { pcrContract } from './contract/pcr-contract.js';
import { quoteContract } from './contract/quote-contract.js';
import { sessionContract } from './contract/session-contract.js';
import { strictnessContract } from './contract/strictness-contract.js';

/** What every TPM does for the client: run over the simulator and over swtpm. */
export function describeTpmContract(name: string, start: () => Promise<TpmUnderTest>): void {
  describe(`TPM contract: ${name}`, () => {
    const bench = new ContractBench(start);
    let before: number[];
    beforeAll(() => bench.start());
    afterAll(() => bench.stop());
    beforeEach(async () => {
      before = await bench.handles();
    });
    afterEach(async () => {
      expect(await bench.handles(), 'nothing is left behind').toEqual(before);
    });
    capabilityContract(bench);
    pcrContract(bench);
    keyContract(bench);
    quoteContract(bench);
    sessionContract(bench);
    nvContract(bench);
    errorContract(bench);
    strictnessContract(bench);
  });
}
