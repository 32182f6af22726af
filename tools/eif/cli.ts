import { Command } from 'commander';
import { reportError, tolerateClosedPipe } from '../common/command-line.js';
import { buildCommand } from './build-command.js';
import { cpioCommand } from './cpio-command.js';
import { describeCommand } from './describe-command.js';
import { extractCommand } from './extract-command.js';
import { signCommand } from './sign-command.js';
import { verifyCommand } from './verify-command.js';

const PROGRAM = 'tee-eif';

tolerateClosedPipe();
const program = new Command(PROGRAM)
  .description('Build, describe, verify, sign and extract Nitro Enclave images (EIF)')
  .addHelpText('after', `\n${PROGRAM} <command> --help explains a command, with examples.`)
  .showHelpAfterError('(--help explains the options)')
  .enablePositionalOptions();

for (const command of [
  ...[buildCommand(), describeCommand(), verifyCommand(), signCommand()],
  ...[extractCommand(), cpioCommand()],
])
  program.addCommand(command.copyInheritedSettings(program));

// commander would exit by itself; output that is still on its way would be cut.
for (const command of [program, ...program.commands]) command.exitOverride();

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportError(PROGRAM, error);
}
