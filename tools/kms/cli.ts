import { letGoOfDevices } from '../agent/end-process.js';
import { runProgram } from '../common/run-program.js';

await runProgram({
  name: 'tee-kms',
  description: 'Use AWS KMS keys that open for attested machines only, and make their policies',
  commands: {
    decrypt: async () => (await import('./decrypt-command.js')).decryptCommand(),
    'generate-data-key': async () =>
      (await import('./generate-data-key-command.js')).generateDataKeyCommand(),
    'generate-random': async () =>
      (await import('./generate-random-command.js')).generateRandomCommand(),
    policy: async () => (await import('./policy-command.js')).policyCommand(),
  },
});
letGoOfDevices();
