import { runProgram } from '../common/run-program.js';

await runProgram({
  name: 'tee-verifier',
  description: 'A verifier of AWS NitroTPM and Nitro Enclave evidence, as a service.',
  commands: { serve: async () => (await import('./serve-command.js')).serveCommand() },
});
