import { Command } from 'commander';
import { reportError, tolerateClosedPipe } from '../common/command-line.js';
import packageJson from '../package.json' with { type: 'json' };
import { serveCommand } from './serve-command.js';

const PROGRAM = 'tee-verifier';

const program = new Command(PROGRAM)
  .description('A verifier of AWS NitroTPM and Nitro Enclave evidence, as a service.')
  .version(packageJson.version)
  .addHelpText('after', '\ntee-verifier serve --help explains everything, with examples.')
  .showHelpAfterError('(--help explains the options)');
program.addCommand(serveCommand().copyInheritedSettings(program));
for (const command of [program, ...program.commands]) command.exitOverride();

tolerateClosedPipe();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportError(PROGRAM, error);
}
