import { Command, Option } from 'commander';
import { printable } from 'tee-verify/measure';
import { EXIT, writeOutput } from '../common/command-line.js';
import { ToolError } from '../common/tool-error.js';
import type { AttestedPlatform } from './manifest-sets.js';
import { checkKeyPolicy, type PolicyFinding } from './policy-check.js';
import { readManifestFile, readPolicyFile } from './read-files.js';

interface Flags {
  readonly manifest: string;
  readonly manifestKeys?: string;
  readonly platform?: AttestedPlatform;
  readonly accept?: readonly string[];
  readonly json?: true;
}

/** `tee-kms policy check`: who could use the key without what the manifest describes? */
export function policyCheckCommand(): Command {
  return new Command('check')
    .description('find what in a key policy lets others in than the manifest accepts')
    .usage('<policy> --manifest <file> [options]')
    .argument('<policy>', 'the key policy as JSON; - reads standard input')
    .requiredOption('--manifest <file>', 'the reference manifest; - reads standard input')
    .option('--manifest-keys <file>', 'public keys (PEM or JWK set): the manifest must be signed')
    .addOption(
      new Option('--platform <name>', 'for manifests that do not say it').choices([
        'nitrotpm',
        'enclave',
      ]),
    )
    .option(
      '--accept <code...>',
      'findings to show but not to fail for, e.g. policy.root-delegates',
    )
    .option('--json', 'write JSON')
    .addHelpText(
      'after',
      `
Grants are not part of the policy (aws kms list-grants), and IAM policies count where the policy
leaves it to IAM. Deny statements are not counted. docs/kms.md explains every finding.

Example:
  aws kms get-key-policy --key-id … --query Policy --output text |
    tee-kms policy check - --manifest manifest.json --accept policy.root-delegates

Exit status: 0 nothing found, 1 findings, 2 usage or unreadable file.`,
    )
    .action(runCheck);
}

async function runCheck(path: string, flags: Flags): Promise<void> {
  if (path === '-' && flags.manifest === '-')
    throw new ToolError('usage.option-conflict', {
      expected: 'standard input for one of the two',
      actual: 'the policy and --manifest',
    });
  const { platform, accept = [] } = flags;
  const policy = await readPolicyFile(path);
  const manifest = await readManifestFile(flags.manifest, flags.manifestKeys);
  const findings = checkKeyPolicy(policy, manifest, platform === undefined ? {} : { platform });
  const unknown = accept.find((code) => !/^policy\.[a-z0-9-]+$/.test(code));
  if (unknown !== undefined)
    throw new ToolError('usage.option-invalid', {
      expected: 'codes of findings such as policy.root-delegates',
      actual: JSON.stringify(unknown.slice(0, 60)),
    });
  const listed = findings.map((one) => ({ ...one, accepted: accept.includes(one.code) }));
  const isFine = listed.every(({ accepted }) => accepted);
  await writeOutput(
    undefined,
    flags.json
      ? `${JSON.stringify({ ok: isFine, findings: listed }, null, 2)}\n`
      : `${[...listed.map(describe), summary(listed.length, isFine)].join('\n')}\n`,
  );
  if (!isFine) process.exitCode = EXIT.failed;
}

function describe(found: PolicyFinding & { readonly accepted: boolean }): string {
  const { code, severity, statement, sid, meaning, detail, hint, accepted } = found;
  const where =
    statement === undefined
      ? 'policy'
      : `statement ${statement}${sid === undefined ? '' : ` (${printable(sid)})`}`;
  return [
    `${(accepted ? 'accepted' : severity).padEnd(8)} ${code}  ${where}`,
    `         ${meaning}: ${printable(detail)}`,
    `         ${hint}`,
  ].join('\n');
}

function summary(count: number, isFine: boolean): string {
  if (count === 0) return 'Nothing found: only what the manifest accepts may use the key.';
  return `${count} finding${count === 1 ? '' : 's'}${isFine ? ', all accepted' : ''}.`;
}
