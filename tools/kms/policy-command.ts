import { Command, Option } from 'commander';
import { writeOutput } from '../common/command-line.js';
import { ToolError } from '../common/tool-error.js';
import { parsePcrList } from '../image/parse-pcr-list.js';
import type { AttestedPlatform } from './manifest-sets.js';
import { policyCheckCommand } from './policy-check-command.js';
import type { KeyPolicy } from './policy-document.js';
import {
  ATTESTED_ACTIONS,
  DEFAULT_SID,
  keyPolicyStatements,
  mergeStatements,
} from './policy-statements.js';
import { readManifestFile, readPolicyFile } from './read-files.js';

interface Flags {
  readonly principal?: readonly string[];
  readonly actions?: readonly string[];
  readonly sid: string;
  readonly pcrs?: readonly number[];
  readonly platform?: AttestedPlatform;
  readonly manifestKeys?: string;
  readonly merge?: string;
  readonly out?: string;
}

const EMPTY: KeyPolicy = { Version: '2012-10-17', Statement: [] };

/** `tee-kms policy`: the key policy of a manifest, and checking one. */
export function policyCommand(): Command {
  const command = new Command('policy')
    .description('make the key policy statements of a manifest; "policy check" checks a policy')
    .enablePositionalOptions()
    // A list such as that of --principal would take the manifest, if it came behind it.
    .usage('<manifest> --principal <arn...> [options]')
    .argument('<manifest>', 'a reference manifest in any form; - reads standard input')
    .option('--principal <arn...>', 'roles that may use the key from attested machines (needed)')
    .option(
      '--actions <action...>',
      `what they may do: ${ATTESTED_ACTIONS.join(', ')} (default: kms:Decrypt)`,
    )
    .option('--sid <sid>', 'Sid of the statement; further ones get a number', DEFAULT_SID)
    .option('--pcrs <list>', 'PCRs to bind, e.g. 4,12 (default: see below)', parsePcrList)
    .addOption(
      new Option('--platform <name>', 'for manifests that do not say it').choices([
        'nitrotpm',
        'enclave',
      ]),
    )
    .option('--manifest-keys <file>', 'public keys (PEM or JWK set): the manifest must be signed')
    .option('--merge <policy>', 'put the statements into this policy; the rest stays as it is')
    .option('--out <file>', 'write to a file instead of standard output')
    .addHelpText(
      'after',
      `
PCRs: for a NitroTPM 4 and 12 where a set pins both, else 7 (and 4); for an enclave all that a set
pins. Revoked sets and those whose time is over are left out; time windows become conditions on
aws:CurrentTime. Several sets share a statement only where their PCRs cannot mix.

Examples:
  tee-kms policy manifest.json --principal arn:aws:iam::111122223333:role/app
  aws kms get-key-policy --key-id … --query Policy --output text > policy.json
  tee-kms policy manifest.json --principal arn:aws:iam::111122223333:role/app \\
    --actions kms:Decrypt kms:GenerateDataKey --merge policy.json --out policy.json
  tee-kms policy check policy.json --manifest manifest.json
  aws kms put-key-policy --key-id … --policy file://policy.json

Exit status: 0 done, 1 the manifest or the policy does not allow it, 2 usage or unreadable file.`,
    )
    .action(runPolicy);
  command.addCommand(policyCheckCommand().copyInheritedSettings(command).exitOverride());
  return command;
}

async function runPolicy(path: string, flags: Flags): Promise<void> {
  const { principal = [], actions, sid, pcrs, platform, merge } = flags;
  if (path === '-' && merge === '-')
    throw new ToolError('usage.option-conflict', {
      expected: 'standard input for one of the two',
      actual: 'the manifest and --merge',
    });
  const manifest = await readManifestFile(path, flags.manifestKeys);
  const { statements, notes } = keyPolicyStatements(manifest, {
    principals: principal,
    sid,
    ...(actions !== undefined && { actions }),
    ...(pcrs !== undefined && { pcrs }),
    ...(platform !== undefined && { platform }),
  });
  const base = merge === undefined ? EMPTY : await readPolicyFile(merge);
  const policy = mergeStatements(base, statements, sid);
  for (const note of notes) process.stderr.write(`tee-kms: note: ${note}\n`);
  await writeOutput(flags.out, `${JSON.stringify(policy, null, 2)}\n`);
}
