import { runProgram } from '../common/run-program.js';

await runProgram({
  name: 'tee-eif',
  description: 'Build, describe, verify, sign and extract Nitro Enclave images (EIF)',
  commands: {
    build: async () => (await import('./build-command.js')).buildCommand(),
    describe: async () => (await import('./describe-command.js')).describeCommand(),
    verify: async () => (await import('./verify-command.js')).verifyCommand(),
    sign: async () => (await import('./sign-command.js')).signCommand(),
    extract: async () => (await import('./extract-command.js')).extractCommand(),
    cpio: async () => (await import('./cpio-command.js')).cpioCommand(),
  },
});
