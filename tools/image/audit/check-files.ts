import { posix } from 'node:path';
import { printable } from 'tee-verify/measure';
import type { TreeFile } from './file-tree.js';
import { type AuditSubject, type Finding, finding } from './finding.js';
import { RULES, ruleOf } from './policy.js';

const SETUID = 0o4000;
const SETGID = 0o2000;
const STICKY = 0o1000;
const WORLD_WRITABLE = 0o0002;
const EXECUTABLE = 0o0111;
/** Rules whose paths are what is allowed, rather than what is looked for. */
const ALLOWING = ['setuid'];

/** Looks at every file by its mode and its name. */
export function checkFiles({ tree }: AuditSubject): Finding[] {
  const expected = ruleOf('setuid').paths ?? [];
  const found: Finding[] = [];
  for (const file of tree.all()) {
    const { path, kind, mode } = file;
    if (kind === 'symlink') continue;
    const bits = [(mode & SETUID) !== 0 && 'setuid', (mode & SETGID) !== 0 && 'setgid'];
    const set = bits.filter((bit) => bit !== false).join(' and ');
    if (kind === 'file' && set !== '' && !expected.includes(path))
      found.push(finding('setuid', path, `${set}, owner ${file.uid}, group ${file.gid}`));
    if (kind === 'file' && file.hasCapabilities === true)
      found.push(finding('file-capabilities', path, 'it has capabilities'));
    const isShared = kind === 'directory' && (mode & STICKY) !== 0;
    if ((kind === 'file' || kind === 'directory') && (mode & WORLD_WRITABLE) !== 0 && !isShared)
      found.push(finding('world-writable', path, `mode ${mode.toString(8).padStart(4, '0')}`));
    if (kind === 'device' && !path.startsWith('/dev/'))
      found.push(finding('device-file', path, `mode ${mode.toString(8).padStart(4, '0')}`));
  }
  return found;
}

/** Looks for programs that the policy names, wherever they are. */
export function checkPrograms({ tree }: AuditSubject): Finding[] {
  const rules = new Map<string, string>();
  for (const { id, programs = [] } of RULES) for (const name of programs) rules.set(name, id);
  const found: Finding[] = [];
  for (const file of tree.all()) {
    const name = posix.basename(file.path);
    const rule = rules.get(name);
    if (rule === undefined) continue;
    const program = file.kind === 'symlink' ? otherProgram(file, tree.resolve(file.path)) : file;
    if (program?.kind === 'file' && (program.mode & EXECUTABLE) !== 0)
      found.push(finding(rule, file.path, `the program ${printable(name, 50)} is there`, 'medium'));
  }
  return found;
}

/** Where a link of this name leads, when that has another name: busybox is many programs. */
function otherProgram(link: TreeFile, target: TreeFile | undefined): TreeFile | undefined {
  if (target === undefined || posix.basename(target.path) === posix.basename(link.path))
    return undefined;
  return target;
}

/** Looks for paths that the policy names, below every folder that becomes /etc, too. */
export function checkPaths({ tree }: AuditSubject, etc: readonly string[]): Finding[] {
  const found: Finding[] = [];
  for (const { id, paths = [] } of RULES.filter(({ id }) => !ALLOWING.includes(id)))
    for (const pattern of paths) {
      const patterns = pattern.startsWith('/etc/')
        ? etc.map((folder) => `${folder}${pattern.slice('/etc'.length)}`)
        : [pattern];
      for (const path of new Set(patterns.flatMap((one) => tree.glob(one)))) {
        const file = tree.resolve(path);
        if (file?.kind === 'file' && file.sizeBytes === 0) continue;
        found.push(finding(id, path, 'it is there'));
      }
    }
  return found;
}
