import { Command } from 'commander';
import { printable } from 'tee-verify/measure';
import { EXIT, writeOutput } from '../../common/command-line.js';
import { ToolError } from '../../common/tool-error.js';
import { type AuditResult, auditImage, type Finding } from './audit-image.js';
import { openSubject } from './open-subject.js';
import { isRule, RULES } from './policy.js';

interface AuditFlags {
  readonly json?: boolean;
  readonly allow?: readonly string[];
  readonly cmdline?: string;
}

/** `tee-image audit`: looks for ways in for an operator. */
export function auditCommand(): Command {
  return new Command('audit')
    .description('look for ways in for an operator: logins, agents, debug shells, a writable root')
    .argument('<image>', 'a raw image, an erofs file system, or the folder of a root')
    .option('--json', 'write JSON')
    .option(
      '--allow <rule or place...>',
      'accept findings: the id of a rule, or a place as the audit names it, in which * stands for anything; may be repeated',
    )
    .option('--cmdline <text>', 'the kernel command line that goes with a file system or a folder')
    .addHelpText(
      'after',
      `
Rules: ${RULES.map(({ id }) => id).join(', ')}.
Each is high (a way in) or medium (it helps whoever is in already, or nothing starts it).
The list is nix/policy/operator-access.json; the Nix modules refuse configurations by the same one.

A raw image is read as it boots: partition table, EFI system partition, command line of the UKI,
files of the erofs root. Nothing is mounted or run, and no program of this machine is needed.
An audit finds what it knows. That it finds nothing is no proof.

Examples:
  tee-image audit image/payments_1.raw
  tee-image audit rootfs/ --cmdline "$(cat cmdline)" --json
  tee-image audit image/payments_1.raw --allow setuid --allow '/nix/store/*/bin/sshd'

--allow with the id of a rule accepts all that it finds, also what is started: a place says less.

Exit status: 0 no findings, 1 findings or an unreadable image, 2 usage or unreadable file.`,
    )
    .action(runAudit);
}

async function runAudit(path: string, flags: AuditFlags): Promise<void> {
  const allow = flags.allow ?? [];
  const unknown = allow.find((name) => !isRule(name) && !/[/ ]/.test(name));
  if (unknown !== undefined)
    throw new ToolError('usage.option-invalid', {
      expected: '--allow with the id of a rule (see --help) or a place',
      actual: printable(unknown, 100),
    });
  const subject = await openSubject(path, flags.cmdline);
  let result: AuditResult;
  try {
    result = await auditImage(subject, allow);
  } finally {
    await subject.close();
  }
  if (result.findings.length > 0) process.exitCode = EXIT.failed;
  await writeOutput(
    undefined,
    flags.json ? `${JSON.stringify(result, null, 2)}\n` : format(result),
  );
}

function format({ findings, allowed, notes }: AuditResult): string {
  const blocks = [...new Set(findings.map(({ rule }) => rule))].map((rule) =>
    formatRule(findings.filter((one) => one.rule === rule)),
  );
  const counts = (['high', 'medium'] as const).map(
    (severity) => `${findings.filter((one) => one.severity === severity).length} ${severity}`,
  );
  const summary =
    findings.length === 0 ? 'no findings' : `${findings.length} findings: ${counts.join(', ')}`;
  const accepted = allowed.length === 0 ? '' : ` (${allowed.length} more allowed)`;
  const said = notes.map((note) => `note: ${shown(note)}\n`).join('');
  return `${blocks.map((block) => `${block}\n`).join('')}${said}${summary}${accepted}\n`;
}

/** Names in an image may hold marks that move a terminal's cursor; arrows are ours. */
function shown(text: string): string {
  return text
    .split('→')
    .map((part) => printable(part, 1000))
    .join('→');
}

/** What one rule found, and what that means, once. */
function formatRule(findings: readonly Finding[]): string {
  const [{ rule, why, remedy }] = findings as [Finding, ...Finding[]];
  const lines = findings.map(
    ({ severity, where, what }) =>
      `  ${severity.padEnd(6)} ${printable(where, 300)}: ${shown(what)}\n`,
  );
  return `${rule}\n${lines.join('')}  Why it matters: ${why}\n  What to do: ${remedy}\n`;
}
