import { Command } from 'commander';
import { reportError, tolerateClosedPipe } from '../common/command-line.js';
import packageJson from '../package.json' with { type: 'json' };

/** In the order of the help. Each loads what it needs: a build would wait for the auditor's code. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
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
};

const program = new Command('tee-image')
  .version(packageJson.version)
  .description('Build, sign, boot, measure, verify and audit images, and explain what booted')
  .addHelpText('after', '\ntee-image <command> --help explains a command, with examples.')
  .showHelpAfterError('(--help explains the options)')
  .enablePositionalOptions();

// The program has no options with values: the first word is the command. Help needs all of them.
const word = process.argv[2] ?? '';
const wanted = Object.hasOwn(COMMANDS, word) ? [word] : Object.keys(COMMANDS);
for (const name of wanted) {
  const command = await (COMMANDS[name] as () => Promise<Command>)();
  program.addCommand(command.copyInheritedSettings(program));
}

// commander would exit by itself; output that is still on its way would be cut.
for (const command of [program, ...program.commands]) command.exitOverride();

tolerateClosedPipe();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportError('tee-image', error);
}
