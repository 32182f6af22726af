import type { Command } from 'commander';
import { CODES, type CodeFacts } from '../../src/index.js';
import { BINDING_CODES } from '../../src/result/binding-codes.js';
import { CLIENT_CODES } from '../../src/result/client-codes.js';
import { MEASUREMENT_CODES } from '../../src/result/measurement-codes.js';
import { POOL_CODES } from '../../src/result/pool-codes.js';
import { RESULT_CODES } from '../../src/result/result-codes.js';
import { SIGNED_MANIFEST_CODES } from '../../src/result/signed-manifest-codes.js';
import { UsageError } from './exit.js';

const ALL: Readonly<Record<string, CodeFacts>> = {
  ...CODES,
  ...MEASUREMENT_CODES,
  ...CLIENT_CODES,
  ...BINDING_CODES,
  ...SIGNED_MANIFEST_CODES,
  ...POOL_CODES,
  ...RESULT_CODES,
};

/** `tee-verify explain [code]`: what a code means and what to do. */
export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('say what a code means and what to do about it; without a code, list all')
    .argument('[code]', 'e.g. x509.expired')
    .action((code: string | undefined) => {
      if (code === undefined) {
        for (const { code: name, meaning } of Object.values(ALL))
          process.stdout.write(`${name.padEnd(36)} ${meaning}\n`);
        return;
      }
      const facts = Object.hasOwn(ALL, code) ? ALL[code] : undefined;
      if (facts === undefined)
        throw new UsageError(`unknown code ${JSON.stringify(code)}${suggest(code)}`);
      const { step, meaning, hint } = facts;
      process.stdout.write(
        `${code}\n  step     ${step}\n  meaning  ${meaning}\n  what to do  ${hint}\n`,
      );
    });
}

function suggest(code: string): string {
  const step = code.split('.')[0];
  const near = Object.keys(ALL).filter((known) => known.startsWith(`${step}.`));
  return near.length > 0
    ? `; codes of this step: ${near.join(', ')}`
    : '; run "tee-verify explain" for the list';
}
