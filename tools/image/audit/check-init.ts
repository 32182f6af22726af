import { posix } from 'node:path';
import { printable } from 'tee-verify/measure';
import { type AuditSubject, type Finding, finding } from './finding.js';
import { RULES } from './policy.js';

const INITS = ['/sbin/init', '/usr/sbin/init', '/init', '/etc/init', '/bin/init'];
const SHELL = /^-?(\/\S+\/)?(sh|ash|bash|dash|login|sulogin)(\s|$)/;
const LOGIN = /getty\b|(^|[/-])login\b/;

/** Looks at init systems other than systemd: inittab, and scripts that are started. */
export async function checkInit(subject: AuditSubject): Promise<Finding[]> {
  return [...(await checkInittab(subject)), ...checkScripts(subject)];
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
  return text.split('\n').flatMap((line) => {
    const [id = '', , action = '', ...rest] = line.trim().split(':');
    const command = rest.join(':');
    if (id.startsWith('#') || rest.length === 0 || action === 'off') return [];
    const said = `${printable(action, 20)} runs ${printable(command, 200)}`;
    if (/(--autologin|\s-a\s|--skip-login|login\s+-f)/.test(command))
      return [finding('autologin', path, said)];
    if (LOGIN.test(command)) return [finding('console-login', path, said)];
    if (
      SHELL.test(command) &&
      /^(askfirst|respawn|once|wait)$/.test(action) &&
      !/\s\S/.test(command)
    )
      return [finding('debug-shell', path, said)];
    return [];
  });
}

function checkScripts({ tree }: AuditSubject): Finding[] {
  const rules = new Map(
    RULES.flatMap(({ id, units = [] }) =>
      units.map((unit) => [unit.replace(/@?\.[a-z]+$/, ''), id] as const),
    ),
  );
  const paths = [
    ...tree.glob('/etc/rc*.d/S*'),
    ...tree.glob('/etc/rc.d/rc*.d/S*'),
    ...tree.glob('/etc/runlevels/*/*'),
  ];
  return paths.flatMap((path) => {
    const name = posix.basename(path).replace(/^S\d\d/, '');
    const rule = rules.get(name);
    // systemd takes scripts only where there is no unit; they are there all the same.
    return rule === undefined ? [] : [finding(rule, path, `the script ${name} is started`)];
  });
}
