import { posix } from 'node:path';
import { type AuditSubject, type Finding, finding } from './finding.js';
import { judgeScript } from './judge-command.js';
import { RULES } from './policy.js';

/** Scripts that init systems, cron, udev and D-Bus start. */
const STARTED = [
  ...['/etc/rc', '/etc/rc.local', '/etc/rc.d/rc', '/etc/rc.d/rc.*', '/etc/local.d/*.start'],
  ...['/etc/rc*.d/S*', '/etc/rc.d/rc*.d/S*', '/etc/runlevels/*/*', '/etc/init.d/rcS'],
  ...['/etc/runit/*', '/etc/service/*/run', '/var/service/*/run', '/service/*/run'],
  ...['/etc/runit/runsvdir/*/*/run', '/etc/services.d/*/run', '/etc/s6/*/*/run'],
  ...['/etc/s6-overlay/s6-rc.d/*/run', '/etc/s6-rc/*/*/run', '/etc/cont-init.d/*'],
  ...['/etc/init/*.conf', '/etc/dinit.d/*', '/etc/inetd.conf', '/etc/xinetd.d/*'],
  ...['/etc/crontab', '/etc/anacrontab', '/etc/cron.*/*', '/var/spool/cron/*'],
  ...['/var/spool/cron/crontabs/*', '/etc/crontabs/*'],
  ...['/etc/udev/rules.d/*.rules', '/usr/lib/udev/rules.d/*.rules', '/lib/udev/rules.d/*.rules'],
];
/** Those that something else has to start. */
const PRESENT = [
  ...['/etc/init.d/*', '/etc/sv/*/run', '/etc/systemd/user/*.service'],
  ...['/usr/lib/systemd/user/*.service', '/usr/share/dbus-1/system-services/*.service'],
];

/** Looks at scripts that are started without a unit: by their name, and by what they start. */
export async function checkScripts({ tree }: AuditSubject): Promise<Finding[]> {
  const rules = new Map(
    RULES.flatMap(({ id, units = [] }) =>
      units.map((unit) => [unit.replace(/@?\.[a-z]+$/, ''), id] as const),
    ),
  );
  const found: Finding[] = [];
  const started = [...new Set(STARTED.flatMap((pattern) => tree.glob(pattern)))];
  const real = new Set(started.map((path) => tree.where(path)));
  for (const path of started) {
    const name = posix.basename(path).replace(/^S\d\d/, '');
    const rule = /\/(S\d\d[^/]*|runlevels\/[^/]+\/[^/]+)$/.test(path) ? rules.get(name) : undefined;
    // systemd takes scripts only where there is no unit; they are there all the same.
    if (rule !== undefined) found.push(finding(rule, path, `the script ${name} is started`));
    const judged = rule === undefined ? await judgeScript(tree, path) : undefined;
    if (judged !== undefined) found.push(finding(judged.rule, path, `it runs ${judged.command}`));
  }
  for (const path of PRESENT.flatMap((pattern) => tree.glob(pattern))) {
    if (real.has(tree.where(path))) continue;
    const judged = await judgeScript(tree, path);
    if (judged !== undefined)
      found.push(finding(judged.rule, path, `it would run ${judged.command}`, 'medium'));
  }
  return found;
}
