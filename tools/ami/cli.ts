import { Command } from 'commander';
import { reportError, tolerateClosedPipe } from '../common/command-line.js';
import packageJson from '../package.json' with { type: 'json' };
import { createCommand } from './create-command.js';
import { deleteCommand } from './delete-command.js';

const program = new Command('tee-ami')
  .version(packageJson.version)
  .description('Make attestable AMIs of disk images, and remove them')
  .addHelpText('after', '\ntee-ami <command> --help explains a command, with examples.')
  .showHelpAfterError('(--help explains the options)')
  .enablePositionalOptions();

for (const command of [createCommand(), deleteCommand()])
  program.addCommand(command.copyInheritedSettings(program));

// commander would exit by itself; output that is still on its way would be cut.
for (const command of [program, ...program.commands]) command.exitOverride();

// The SDK's word on Node's version is for those who choose it; one line says what went wrong here.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

tolerateClosedPipe();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportError('tee-ami', error);
}
