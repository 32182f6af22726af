import { Command } from 'commander';
import { manifestShowCommand } from './manifest-show.js';
import { manifestSignCommand } from './manifest-sign.js';
import { manifestVerifyCommand } from './manifest-verify.js';

/** `tee-image manifest`: signs reference manifests, verifies and shows signed ones. */
export function manifestCommand(): Command {
  const command = new Command('manifest')
    .description('sign reference manifests, verify and show signed ones')
    .addHelpText(
      'after',
      '\ntee-image manifest <command> --help explains a command, with examples.',
    );
  for (const one of [manifestSignCommand(), manifestVerifyCommand(), manifestShowCommand()])
    command.addCommand(one.copyInheritedSettings(command).exitOverride());
  return command;
}
