import { posix } from 'node:path';
import { checkAccounts } from './check-accounts.js';
import { checkCommandLine, notesOnCommandLine } from './check-command-line.js';
import { checkFiles, checkPaths, checkPrograms } from './check-files.js';
import { checkInit, notesOnInit } from './check-init.js';
import { checkMounts } from './check-mounts.js';
import { checkUnits } from './check-units.js';
import { type FileTree, matches } from './file-tree.js';
import { type AuditSubject, type Finding, finding } from './finding.js';
import { kernelWords, splitWord } from './kernel-words.js';
import { RULES } from './policy.js';

export type { FileTree } from './file-tree.js';
export type { AuditSubject, Finding } from './finding.js';
export type { Severity } from './policy.js';

/** What an audit found. */
export interface AuditResult {
  /** By rule, in the order of the policy's list, then by place. */
  readonly findings: readonly Finding[];
  /** Findings that the caller allowed. */
  readonly allowed: readonly Finding[];
  /** What is no finding, but worth knowing: what could not be looked at, and why. */
  readonly notes: readonly string[];
}

/**
 * Looks for ways in for an operator: in the files of a root, in the kernel command line, and beside
 * the UKI on the EFI system partition. The rules are those of nix/policy/operator-access.json.
 *
 * An audit finds what it knows; that it finds nothing is no proof (docs/images.md, "Audit").
 *
 * @param allow ids of rules and places whose findings are accepted; `*` in a place stands for anything
 * @throws ToolError `erofs.malformed`, `erofs.unsupported`, `file.unreadable`, `file.too-large`
 */
export async function auditImage(
  subject: AuditSubject,
  allow: readonly string[] = [],
): Promise<AuditResult> {
  const etc = etcFolders(subject);
  const found = [
    ...checkCommandLine(subject),
    ...checkEsp(subject),
    ...(await checkUnits(subject, etc)),
    ...(await checkInit(subject)),
    ...checkPrograms(subject),
    ...checkPaths(subject, etc),
    ...(await checkAccounts(subject, etc)),
    ...(await checkMounts(subject, etc)),
    ...checkFiles(subject),
    ...(await checkInitrd(subject)),
  ];
  const findings = sortFindings(found);
  const isAllowed = ({ rule, where }: Finding): boolean =>
    allow.some((one) => one === rule || matches(one, where));
  return {
    findings: findings.filter((one) => !isAllowed(one)),
    allowed: findings.filter(isAllowed),
    notes: [
      ...notesOnCommandLine(subject),
      ...notesOnInit(subject, etc),
      ...notesOnTree(subject.tree),
    ],
  };
}

/** What the initrd starts; its files are gone when the root runs, so that their modes don't count. */
async function checkInitrd({ initrd, commandLine }: AuditSubject): Promise<Finding[]> {
  if (initrd === undefined) return [];
  const subject = { tree: initrd.tree, ...(commandLine === undefined ? {} : { commandLine }) };
  const found = [
    ...(await checkUnits(subject, ['/etc'])),
    ...checkPrograms(subject),
    ...checkPaths(subject, ['/etc']),
    ...(await checkAccounts(subject, ['/etc'])),
    ...(await checkMounts(subject, ['/etc'])),
  ];
  const where = 'initrd';
  return [
    ...(initrd.unread === undefined ? [] : [finding('unread', where, initrd.unread)]),
    ...found.map((one) => ({ ...one, where: `${where}:${one.where}` })),
  ];
}

/** What is on the EFI system partition beside the UKI. */
function checkEsp({ otherEspFiles = [] }: AuditSubject): Finding[] {
  return otherEspFiles.map((path) => finding('esp-files', `ESP:${path}`, 'it is there'));
}

/**
 * Folders that are /etc when the system runs. NixOS makes /etc at each boot from that of the system
 * that `init=` names; without a command line every system in the store counts.
 */
function etcFolders({ tree, commandLine }: AuditSubject): string[] {
  const inits = kernelWords(commandLine ?? '').flatMap((word) => {
    const [key, value = ''] = splitWord(word);
    return key === 'init' && value.startsWith('/nix/store/') ? [posix.dirname(value)] : [];
  });
  const etcOf = (systems: readonly string[]): string[] =>
    systems
      .map((system) => posix.join(system, 'etc'))
      .filter((folder) => tree.resolve(folder)?.kind === 'directory');
  const named = etcOf(inits);
  // What `init=` names may be a program that starts one of the systems.
  const own = named.length > 0 ? named : etcOf(tree.glob('/nix/store/*-nixos-system-*'));
  // An image of /usr has none: it is made of these.
  const factory = ['/usr/share/factory/etc', '/usr/etc'].filter(
    (folder) => tree.resolve(folder)?.kind === 'directory',
  );
  return ['/etc', ...own, ...factory];
}

function notesOnTree(tree: FileTree): string[] {
  for (const { kind, hasCapabilities } of tree.all())
    if (kind === 'file' && hasCapabilities === undefined)
      return [
        'Capabilities of files cannot be seen in a folder: audit the raw image to have them checked.',
      ];
  return [];
}

/** By rule and place, each finding once. */
function sortFindings(found: readonly Finding[]): Finding[] {
  const order = new Map(RULES.map(({ id }, index) => [id, index]));
  const unique = new Map(found.map((one) => [`${one.rule}\0${one.where}\0${one.what}`, one]));
  return [...unique.values()].sort(
    (a, b) =>
      (order.get(a.rule) as number) - (order.get(b.rule) as number) ||
      (a.where < b.where ? -1 : a.where > b.where ? 1 : 0),
  );
}
