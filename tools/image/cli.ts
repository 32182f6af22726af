import { runProgram } from '../common/run-program.js';

await runProgram({
  name: 'tee-image',
  description: 'Build, sign, boot, measure, verify and audit images, and explain what booted',
  commands: {
    build: async () => (await import('./build/build-command.js')).buildCommand(),
    keys: async () => (await import('./signing/keys-command.js')).keysCommand(),
    sign: async () => (await import('./signing/sign-command.js')).signCommand(),
    boot: async () => (await import('./boot/boot-command.js')).bootCommand(),
    verify: async () => (await import('./verify/verify-command.js')).verifyCommand(),
    audit: async () => (await import('./audit/audit-command.js')).auditCommand(),
    describe: async () => (await import('./describe/describe-command.js')).describeCommand(),
    measure: async () => (await import('./measure-command.js')).measureCommand(),
    manifest: async () => (await import('./manifest-command.js')).manifestCommand(),
    diff: async () => (await import('./diff-command.js')).diffCommand(),
    eventlog: async () => (await import('./eventlog-command.js')).eventlogCommand(),
  },
});
