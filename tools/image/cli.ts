import { Command } from 'commander';
import { reportError, tolerateClosedPipe } from '../common/command-line.js';
import packageJson from '../package.json' with { type: 'json' };
import { auditCommand } from './audit/audit-command.js';
import { bootCommand } from './boot/boot-command.js';
import { buildCommand } from './build/build-command.js';
import { describeCommand } from './describe/describe-command.js';
import { diffCommand } from './diff-command.js';
import { eventlogCommand } from './eventlog-command.js';
import { manifestCommand } from './manifest-command.js';
import { measureCommand } from './measure-command.js';
import { keysCommand } from './signing/keys-command.js';
import { signCommand } from './signing/sign-command.js';
import { verifyCommand } from './verify/verify-command.js';

const program = new Command('tee-image')
  .version(packageJson.version)
  .description('Build, sign, boot, measure, verify and audit images, and explain what booted')
  .addHelpText('after', '\ntee-image <command> --help explains a command, with examples.')
  .showHelpAfterError('(--help explains the options)')
  .enablePositionalOptions();

for (const command of [
  measureCommand(),
  eventlogCommand(),
  diffCommand(),
  manifestCommand(),
  buildCommand(),
  verifyCommand(),
  keysCommand(),
  signCommand(),
  bootCommand(),
  describeCommand(),
  auditCommand(),
])
  program.addCommand(command.copyInheritedSettings(program));

// commander would exit by itself; output that is still on its way would be cut.
for (const command of [program, ...program.commands]) command.exitOverride();

tolerateClosedPipe();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportError('tee-image', error);
}
