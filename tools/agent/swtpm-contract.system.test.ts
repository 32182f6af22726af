import { describe, it } from 'vitest';
import { havePrograms, startSwtpm } from './testing/start-swtpm.js';
import { describeTpmContract } from './testing/tpm-contract.js';

if (havePrograms('swtpm', 'swtpm_setup'))
  describeTpmContract("Debian's swtpm", async () => {
    const swtpm = await startSwtpm();
    return {
      connect: swtpm.connect,
      stop: swtpm.stop,
      manufacturer: 'IBM',
      nvIndexMax: 2048,
    };
  });
else describe.skip("TPM contract: Debian's swtpm", () => it('needs swtpm', () => undefined));
