import { posix } from 'node:path';
import { printable } from 'tee-verify/measure';
import type { FileTree } from './file-tree.js';
import { RULES } from './policy.js';

/** What a command lets in by: the id of a rule, and the command. */
export interface Judgement {
  readonly rule: string;
  readonly command: string;
}

/** Where a command reads from, when that is known. */
export type CommandInput = 'console' | 'socket' | undefined;

const SHELLS = new Set(['sh', 'ash', 'bash', 'dash', 'ksh', 'zsh']);
/** Words before the program that is run in the end. */
const WRAPPERS = new Set([
  ...['exec', 'nohup', 'setsid', 'env', 'nice', 'ionice', 'chrt', 'taskset', 'timeout', 'stdbuf'],
  ...['command', 'busybox', 'toybox', 'chroot', 'flock', 'unshare', 'nsenter', 'openvt', 'chpst'],
  ...[
    'setuidgid',
    's6-setuidgid',
    'su',
    'runuser',
    'setpriv',
    'root',
    'tini',
    'dumb-init',
    'catatonit',
  ],
  ...[
    'start-stop-daemon',
    'systemd-run',
    'if',
    'then',
    'else',
    'do',
    'while',
    'until',
    '!',
    '{',
    '(',
  ],
  ...SHELLS,
]);
const PROGRAMS: ReadonlyMap<string, string> = new Map(
  RULES.filter(({ severity }) => severity === 'high').flatMap(
    ({ id, programs = [], commands = [] }) =>
      [...programs, ...commands].map((name) => [name, id] as const),
  ),
);
const NET_CAT = /^(nc|ncat|netcat|socat)(\.\w+)?$/;
const RUNS_SHELL =
  /^(-\w*[ec]|--(sh-)?exec|--exec=.*|--sh-exec=.*)$|^(EXEC|SYSTEM|SHELL):|,?(EXEC|SYSTEM):/i;
const CONSOLE = /^\d*<>?\/dev\/(tty|console|hvc|pts|vc)/;
const MAX_SCRIPT_BYTES = 256 * 1024;

/** What is known of scripts: each is read once, also when scripts start each other in a circle. */
const JUDGED = new WeakMap<FileTree, Map<string, Judgement | undefined>>();

/**
 * Looks for programs of the policy, login prompts, and shells that somebody outside reaches, in a
 * command of a unit or a script: in what it starts itself, and in the scripts that it starts.
 */
export async function judgeCommand(
  tree: FileTree,
  text: string,
  input?: CommandInput,
): Promise<Judgement | undefined> {
  const rule = ruleOfCommand(tree, text, input);
  if (rule !== undefined) return { rule, command: printable(text.trim(), 200) };
  for (const path of new Set(simpleCommands(text).flatMap(leadingWords))) {
    // What a command starts is a script only when it says so.
    const found = path.startsWith('/') ? await judgeScript(tree, path, input, '#!') : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The same for each line of a script; undefined when there is none that begins like this. */
export async function judgeScript(
  tree: FileTree,
  path: string,
  input?: CommandInput,
  start = '',
): Promise<Judgement | undefined> {
  const file = tree.resolve(path);
  if (file?.kind !== 'file' || file.sizeBytes > MAX_SCRIPT_BYTES) return undefined;
  const known = JUDGED.get(tree) ?? new Map<string, Judgement | undefined>();
  JUDGED.set(tree, known);
  const key = `${input}\0${start}\0${file.path}`;
  if (known.has(key)) return known.get(key);
  known.set(key, undefined);
  const text = (await tree.text(path)) ?? '';
  if (!text.startsWith(start)) return undefined;
  for (const line of text.replace(/\\\r?\n/g, ' ').split('\n')) {
    if (/^\s*(#|$)/.test(line)) continue;
    const found = await judgeCommand(tree, commandOf(line), input);
    if (found === undefined) continue;
    known.set(key, found);
    return found;
  }
  return undefined;
}

/** The command in a line of a script, a crontab, a rule of udev, or a file of settings. */
function commandOf(line: string): string {
  const udev = [...line.matchAll(/\bRUN(?:\{program\})?\s*\+?:?=\s*"([^"]*)"/g)];
  if (udev.length > 0) return udev.map(([, command]) => command).join('\n');
  return line.replace(/^\s*(Exec\w*|command|server|DAEMON|[A-Z]+_DAEMON)\s*=\s*/, '');
}

function ruleOfCommand(tree: FileTree, text: string, input: CommandInput): string | undefined {
  // bash's way to the network.
  if (/\/dev\/(tcp|udp)\//.test(text)) return 'remote-shell';
  for (const words of simpleCommands(text)) {
    const lead = leadingWords(words);
    for (const word of new Set(lead)) {
      const target = word.startsWith('/') ? tree.where(word) : undefined;
      const names = [word, target ?? word].map((path) => posix.basename(path));
      const rule = names.map((name) => PROGRAMS.get(name)).find((id) => id !== undefined);
      if (rule !== undefined) return rule;
      if (names.some((name) => NET_CAT.test(name)) && words.some((one) => RUNS_SHELL.test(one)))
        return 'remote-shell';
    }
    if (!isBareShell(words, lead)) continue;
    if (input === 'socket') return 'remote-shell';
    if (input === 'console' || words.some((word) => CONSOLE.test(word))) return 'debug-shell';
  }
  return undefined;
}

/** Whether a shell runs what it reads, rather than what it was given. */
function isBareShell(words: readonly string[], lead: readonly string[]): boolean {
  const last = lead.at(-1);
  if (last === undefined || !SHELLS.has(posix.basename(last))) return false;
  const rest = words.slice(words.lastIndexOf(last) + 1);
  return rest.every((word) => /^(-[il]+|--login|--noprofile|--norc|\d*[<>].*)$/.test(word));
}

/** The words of each command in a text, without quotation marks. */
function simpleCommands(text: string): string[][] {
  return text
    .replace(/["']/g, ' ')
    .replace(/([<>]&?)\s+/g, '$1')
    .split(/\|\||&&|[;|\n`]|\$\(|(?<![<>])&(?![>\d])/)
    .map((part) => part.split(/\s+/).filter((word) => word !== ''));
}

/** The words up to the program that is run in the end, without options and assignments. */
function leadingWords(words: readonly string[]): string[] {
  const lead: string[] = [];
  let isWrapped = false;
  for (const [index, whole] of words.entries()) {
    // Marks of systemd, or a login shell's.
    const word = index === 0 ? whole.replace(/^[@:+!|-]+(?=.)/, '') : whole;
    if (/^(-|\w+=|\d*[<>]|[\d*/,@%-]+$|@reboot)/.test(word) && index > 0) continue;
    if (index === 0 && /^(\w+=|[\d*/,-]+$|@\w+$)/.test(whole)) continue;
    lead.push(word);
    if (WRAPPERS.has(posix.basename(word))) isWrapped = true;
    else if (!isWrapped || !word.includes('/')) break;
  }
  return lead;
}
