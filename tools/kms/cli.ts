import { Command } from 'commander';
import { letGoOfDevices } from '../agent/end-process.js';
import { reportError, tolerateClosedPipe } from '../common/command-line.js';
import packageJson from '../package.json' with { type: 'json' };
import { decryptCommand } from './decrypt-command.js';
import { generateDataKeyCommand } from './generate-data-key-command.js';
import { generateRandomCommand } from './generate-random-command.js';
import { policyCommand } from './policy-command.js';

// The SDK's warning about future versions of Node is for those who choose the versions.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

const program = new Command('tee-kms')
  .version(packageJson.version)
  .description('Use AWS KMS keys that open for attested machines only, and make their policies')
  .addHelpText('after', '\ntee-kms <command> --help explains a command, with examples.')
  .showHelpAfterError('(--help explains the options)')
  .enablePositionalOptions();

for (const command of [
  decryptCommand(),
  generateDataKeyCommand(),
  generateRandomCommand(),
  policyCommand(),
])
  program.addCommand(command.copyInheritedSettings(program));

// commander would exit by itself; output that is still on its way would be cut.
for (const command of [program, ...program.commands]) command.exitOverride();

tolerateClosedPipe();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportError('tee-kms', error);
}
letGoOfDevices();
