import { Command } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { reportError, tolerateClosedPipe } from './command-line.js';

/** A program of several commands. */
export interface ProgramPlan {
  readonly name: string;
  readonly description: string;
  /** By name, in the order of the help. Each loads what it needs, so that no command waits for another's code. */
  readonly commands: Readonly<Record<string, () => Promise<Command>>>;
}

/** Runs the program on the arguments of the process; errors become one line and an exit status. */
export async function runProgram({ name, description, commands }: ProgramPlan): Promise<void> {
  // What the AWS SDK says of Node's version is for those who choose the version.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const program = new Command(name)
    .version(packageJson.version)
    .description(description)
    .addHelpText('after', `\n${name} <command> --help explains a command, with examples.`)
    .showHelpAfterError('(--help explains the options)')
    .enablePositionalOptions();

  // The program has no options with values: the first word is the command. Help needs all of them.
  const word = process.argv[2] ?? '';
  const wanted = Object.hasOwn(commands, word) ? [word] : Object.keys(commands);
  for (const key of wanted) {
    const command = await (commands[key] as () => Promise<Command>)();
    program.addCommand(command.copyInheritedSettings(program));
  }

  // commander would exit by itself; output that is still on its way would be cut.
  for (const command of [program, ...program.commands]) command.exitOverride();

  tolerateClosedPipe();
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = reportError(name, error);
  }
}
