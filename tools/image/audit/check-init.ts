import { posix } from 'node:path';
import { printable } from 'tee-verify/measure';
import { checkScripts } from './check-scripts.js';
import type { FileTree } from './file-tree.js';
import { type AuditSubject, type Finding, finding } from './finding.js';
import { judgeCommand, judgeScript } from './judge-command.js';
import { kernelWords, splitWord } from './kernel-words.js';

const INITS = ['/sbin/init', '/usr/sbin/init', '/init', '/etc/init', '/bin/init'];
const SHELL = /^-?(\/\S+\/)?(sh|ash|bash|dash|login|sulogin)(\s|$)/;
const LOGIN = /getty\b|(^|[/-])login\b/;

/** Looks at init systems other than systemd: inittab, and scripts that are started. */
export async function checkInit(subject: AuditSubject): Promise<Finding[]> {
  return [
    ...(await checkInittab(subject)),
    ...(await checkInitScript(subject)),
    ...(await checkScripts(subject)),
  ];
}

/** What is started first, when that is not systemd: then most of what runs is not known. */
export function notesOnInit(subject: AuditSubject, etc: readonly string[]): string[] {
  const path = initOf(subject);
  const real = path === undefined ? undefined : subject.tree.resolve(path)?.path;
  const isNixos =
    path?.startsWith('/nix/store/') && etc.includes(posix.join(posix.dirname(path), 'etc'));
  if (real === undefined ? hasUnits(subject.tree) : isNixos || posix.basename(real) === 'systemd')
    return [];
  const name = path === undefined ? 'There is no init that is known' : `${path} is not systemd`;
  return [
    `${name}: what it starts was looked at as far as inittab and scripts at usual places say. See the rest by yourself.`,
  ];
}

/** The program that the kernel or the initrd starts in this root. */
function initOf({ tree, commandLine = '' }: AuditSubject): string | undefined {
  const named = kernelWords(commandLine)
    .map(splitWord)
    .findLast(([key]) => key === 'init')?.[1];
  if (named !== undefined) return named;
  return INITS.find((name) => tree.resolve(name)?.kind === 'file');
}

function hasUnits(tree: FileTree): boolean {
  return (
    tree.glob('/usr/lib/systemd/system/*').length > 0 ||
    tree.glob('/lib/systemd/system/*').length > 0 ||
    tree.glob('/etc/systemd/system/*').length > 0
  );
}

async function checkInitScript(subject: AuditSubject): Promise<Finding[]> {
  const { tree } = subject;
  const path = initOf(subject);
  const head = path === undefined ? '' : await headOf(tree, path);
  if (path === undefined || head !== '#!') return [];
  const judged = await judgeScript(tree, path, 'console');
  return judged === undefined ? [] : [finding(judged.rule, path, `it runs ${judged.command}`)];
}

async function headOf(tree: FileTree, path: string): Promise<string> {
  const file = tree.resolve(path);
  // Programs may be large, and compressed in a way that is not read.
  if (file?.kind !== 'file' || file.sizeBytes > 256 * 1024) return '';
  return Buffer.from((await file.read()).subarray(0, 2)).toString('latin1');
}

async function checkInittab({ tree }: AuditSubject): Promise<Finding[]> {
  const path = '/etc/inittab';
  const text = await tree.text(path);
  if (text === undefined) {
    const init = INITS.map((name) => tree.resolve(name)).find((file) => file?.kind === 'file');
    if (init === undefined || !posix.basename(init.path).startsWith('busybox')) return [];
    return [
      finding('debug-shell', init.path, 'without /etc/inittab, busybox offers a shell on consoles'),
    ];
  }
  const found: Finding[] = [];
  for (const line of text.split('\n')) {
    const [id = '', , action = '', ...rest] = line.trim().split(':');
    const command = rest.join(':');
    if (id.startsWith('#') || rest.length === 0 || action === 'off') continue;
    const rule = await ruleOfEntry(tree, action, command);
    const said = `${printable(action, 20)} runs ${printable(command, 200)}`;
    if (rule !== undefined) found.push(finding(rule, path, said));
  }
  return found;
}

async function ruleOfEntry(
  tree: FileTree,
  action: string,
  command: string,
): Promise<string | undefined> {
  if (/(--autologin|\s-a\s|--skip-login|login\s+-f)/.test(command)) return 'autologin';
  if (LOGIN.test(command)) return 'console-login';
  const isShell = SHELL.test(command) && !/\s\S/.test(command);
  if (isShell && /^(askfirst|respawn|once|wait|sysinit)$/.test(action)) return 'debug-shell';
  return (await judgeCommand(tree, command, 'console'))?.rule;
}
