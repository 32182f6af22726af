import type { Command } from 'commander';
import { CODES, isCode } from '../../src/index.js';
import { UsageError } from './exit.js';

/** `tee-verify explain [code]`: what a code means and what to do. */
export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('say what a code means and what to do about it; without a code, list all')
    .argument('[code]', 'e.g. x509.expired')
    .action((code: string | undefined) => {
      if (code === undefined) {
        for (const { code: name, meaning } of Object.values(CODES))
          process.stdout.write(`${name.padEnd(36)} ${meaning}\n`);
        return;
      }
      if (!isCode(code))
        throw new UsageError(`unknown code ${JSON.stringify(code)}${suggest(code)}`);
      const { step, meaning, hint } = CODES[code];
      process.stdout.write(
        `${code}\n  step     ${step}\n  meaning  ${meaning}\n  what to do  ${hint}\n`,
      );
    });
}

function suggest(code: string): string {
  const step = code.split('.')[0];
  const near = Object.keys(CODES).filter((known) => known.startsWith(`${step}.`));
  return near.length > 0
    ? `; codes of this step: ${near.join(', ')}`
    : '; run "tee-verify explain" for the list';
}
