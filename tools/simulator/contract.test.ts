import { describeTpmContract } from '../agent/testing/tpm-contract.js';
import { TPM_ALG } from '../agent/tpm/constants.js';
import { openSocketTransport } from '../agent/transport/socket-transport.js';
import { listen } from './socket-server.js';
import { createSimulator, type TpmSimulator } from './tpm-simulator.js';

const make = (): Promise<TpmSimulator> =>
  createSimulator({ banks: [TPM_ALG.SHA256, TPM_ALG.SHA384] });

describeTpmContract('simulator, in this process', async () => {
  const simulator = await make();
  return {
    connect: () => simulator.transport(),
    stop: async () => undefined,
    manufacturer: 'AMZN',
    nvIndexMax: 8192,
  };
});

describeTpmContract('simulator, over TCP', async () => {
  const listening = await listen(await make(), { host: '127.0.0.1', port: 0 });
  return {
    connect: () =>
      openSocketTransport(
        { host: '127.0.0.1', port: listening.port as number },
        { timeoutMs: 10_000 },
      ),
    stop: () => listening.close(),
    manufacturer: 'AMZN',
    nvIndexMax: 8192,
  };
});
