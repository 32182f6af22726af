import { posix } from 'node:path';
import { printable } from 'tee-verify/measure';
import { isLocked, rootPassword } from './check-accounts.js';
import { matches } from './file-tree.js';
import { type AuditSubject, type Finding, finding } from './finding.js';
import { type CommandInput, judgeCommand } from './judge-command.js';
import { isNo, kernelWords, splitWord } from './kernel-words.js';
import { RULES } from './policy.js';
import { type StartedUnit, templateOf, UnitGraph } from './unit-graph.js';

/** Where a boot begins, and what every service asks for. */
const ROOTS = [
  ...['default.target', 'sysinit.target', 'basic.target', 'multi-user.target', 'initrd.target'],
];
/** They ask for root's password: without one they let nobody in. */
const ASKING = ['emergency.service', 'rescue.service'];
const GETTY_GENERATOR = 'systemd/system-generators/systemd-getty-generator';
const GENERATOR_FOLDERS = ['/usr/local/lib', '/usr/lib', '/lib'];

const EXEC_KEYS = [
  ...['ExecCondition', 'ExecStartPre', 'ExecStart', 'ExecStartPost', 'ExecReload'],
  ...['ExecStop', 'ExecStopPost'],
];

/** Looks at the units of systemd: which let in, and whether they are started. */
export async function checkUnits(
  subject: AuditSubject,
  etc: readonly string[],
): Promise<Finding[]> {
  const graph = new UnitGraph(subject.tree, etc);
  const words = kernelWords(subject.commandLine ?? '');
  const chosen = words.flatMap((word) => {
    const [key, value] = splitWord(word);
    return value !== undefined && /^systemd\.(unit|wants)$/.test(key) ? [value] : [];
  });
  const started = await graph.started([...ROOTS, ...chosen]);
  const password = await rootPassword(subject.tree, etc);
  const isRootLocked = password === undefined || isLocked(password);
  const prompts = consoles(subject, graph, words, etc);
  const named = await namedUnits(subject, graph, started, isRootLocked);
  return [
    // What the generator starts is not one that nothing starts.
    ...named.filter(
      ({ where, severity }) => severity === 'high' || !prompts.some((one) => one.where === where),
    ),
    ...(await firstBoot(graph, started, words, password)),
    ...prompts,
    ...(await commandsOfUnits(subject, graph, started)),
  ];
}

/** Units that the policy names. */
async function namedUnits(
  { tree }: AuditSubject,
  graph: UnitGraph,
  started: ReadonlyMap<string, StartedUnit>,
  isRootLocked: boolean,
): Promise<Finding[]> {
  const present = new Set(graph.folders.flatMap((folder) => tree.names(folder)));
  const names = [...new Set([...present, ...started.keys()])].sort();
  const found: Finding[] = [];
  for (const { id, units } of RULES) {
    for (const name of names) {
      const isNamed = units?.some((unit) => unit === name || unit === templateOf(name)) ?? false;
      const path = isNamed ? graph.find(name) : undefined;
      if (path === undefined) continue;
      const how = started.get(name);
      const asks = isRootLocked && ASKING.includes(name) && (await asksForPassword(graph, name));
      if (how === undefined)
        found.push(finding(id, path, `${name} is there, but nothing starts it`, 'medium'));
      else if (asks)
        found.push(
          finding(id, path, `${name} is started (${chain(how)}); root is locked`, 'medium'),
        );
      else found.push(finding(id, path, `${name} is started: ${chain(how)}`));
    }
  }
  return found;
}

/** Whether it is sulogin that runs, and is not told to let in where root is locked. */
async function asksForPassword(graph: UnitGraph, name: string): Promise<boolean> {
  const settings = (await graph.read(name))?.settings;
  const get = (key: string): readonly string[] => settings?.get(`Service.${key}`) ?? [];
  const isForced = get('Environment').some((text) => text.includes('SYSTEMD_SULOGIN_FORCE'));
  const isSulogin = (text: string): boolean =>
    /sulogin/.test(text) && !/\s(-\w*e|--force)\b/.test(text);
  return !isForced && get('EnvironmentFile').length === 0 && get('ExecStart').every(isSulogin);
}

/** A console that asks for root's new password when there is none. */
async function firstBoot(
  graph: UnitGraph,
  started: ReadonlyMap<string, StartedUnit>,
  words: readonly string[],
  password: string | undefined,
): Promise<Finding[]> {
  const how = started.get('systemd-firstboot.service');
  const isOff = words
    .map(splitWord)
    .some(([key, value]) => key === 'systemd.firstboot' && isNo(value));
  if (how === undefined || password !== undefined || isOff) return [];
  const unit = await graph.read(how.name);
  const commands = unit?.settings.get('Service.ExecStart') ?? [];
  if (unit === undefined || !commands.some((text) => /--prompt(-root-password)?(\s|$)/.test(text)))
    return [];
  return [
    finding('password', unit.path, 'the console is asked for a password of root at first boot'),
  ];
}

/** Login prompts that nothing names: those of the getty generator and of systemd-logind. */
function consoles(
  { tree, commandLine }: AuditSubject,
  graph: UnitGraph,
  words: readonly string[],
  etc: readonly string[],
): Finding[] {
  // The last one counts.
  const auto = words.map(splitWord).findLast(([key]) => key === 'systemd.getty_auto');
  const isOff = isNo(auto?.[1]);
  const serial = graph.find('serial-getty@.service');
  const generator = [...etc, ...GENERATOR_FOLDERS, ...tree.glob('/nix/store/*-systemd-*/lib')]
    .map((folder) => posix.join(folder, GETTY_GENERATOR))
    .find((path) => tree.entry(path) !== undefined);
  const runs = generator !== undefined && tree.resolve(generator)?.kind === 'file';
  if (!runs || isOff || serial === undefined) return [];
  const names = words.flatMap((word) => {
    const [key, value = ''] = splitWord(word);
    const [console = ''] = value.split(',');
    return key === 'console' && console !== 'null' && !/^tty\d*$/.test(console) ? [console] : [];
  });
  if (commandLine === undefined)
    return [
      finding('console-login', serial, `${generator} starts it on every serial console`, 'medium'),
    ];
  return names.map((name) =>
    finding('console-login', serial, `${generator} starts it for console=${printable(name, 50)}`),
  );
}

/** Units of any name that log somebody in or give a console to a shell. */
async function commandsOfUnits(
  { tree }: AuditSubject,
  graph: UnitGraph,
  started: ReadonlyMap<string, StartedUnit>,
): Promise<Finding[]> {
  const found: Finding[] = [];
  const known = RULES.flatMap(({ units = [] }) => units);
  const names = new Set(graph.folders.flatMap((folder) => tree.names(folder)));
  for (const name of [...names, ...started.keys()].filter((n) => matches('*.service', n))) {
    const unit = await graph.read(name);
    if (unit === undefined || found.some(({ where }) => where === unit.path)) continue;
    const commands = EXEC_KEYS.flatMap((key) => unit.settings.get(`Service.${key}`) ?? []);
    const login = commands.find(isAutologin);
    if (login !== undefined)
      found.push(finding('autologin', unit.path, `${name} runs ${printable(login, 200)}`));
    const input = unit.settings.get('Service.StandardInput')?.at(-1) ?? '';
    const isNamed = known.includes(name) || known.includes(templateOf(name) ?? '');
    if (login !== undefined || isNamed) continue;
    for (const command of commands) {
      const judged = await judgeCommand(tree, command, inputOf(input));
      if (judged === undefined) continue;
      const how = started.get(name);
      const said = `${name} runs ${judged.command}`;
      if (how === undefined)
        found.push(finding(judged.rule, unit.path, `${said}, but nothing starts it`, 'medium'));
      else found.push(finding(judged.rule, unit.path, `${said}: ${chain(how)}`));
      break;
    }
  }
  return found;
}

/** In steps that each take as long as the command: images may hold very long ones. */
function isAutologin(command: string): boolean {
  if (/\blogin\s+(-p\s+)?-\S*f/.test(command)) return true;
  const words = command.split(/\s+/);
  const getty = words.findIndex((word) => /getty\b/.test(word));
  return (
    getty >= 0 &&
    words.slice(getty + 1).some((word) => /^(--autologin|--skip-login|-a|-n)(=|$)/.test(word))
  );
}

function inputOf(standardInput: string): CommandInput {
  if (standardInput === 'socket') return 'socket';
  return /^tty|^file:\/dev\/(tty|console|hvc)/.test(standardInput) ? 'console' : undefined;
}

function chain({ chain: names }: StartedUnit): string {
  return names.join(' → ');
}
