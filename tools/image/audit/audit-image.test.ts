import { describe, expect, it } from 'vitest';
import { auditImage } from './audit-image.js';
import { RULES } from './policy.js';
import { type FileSpec, treeOf } from './test-support/tree-of.js';

const UNITS = '/usr/lib/systemd/system';
const ETC_UNITS = '/etc/systemd/system';
const GOOD_LINE =
  'lockdown=integrity console=ttyS0 systemd.verity=1 systemd.verity_root_options=panic-on-corruption roothash=00';

/** A root that lets nobody in. */
const GOOD: Record<string, FileSpec> = {
  '/etc/passwd': 'root:x:0:0::/:/sbin/nologin\n',
  '/etc/shadow': 'root:!:1::::::\ndaemon:*:1::::::\n',
  '/etc/fstab': '# none\ntmpfs /var tmpfs defaults 0 0\n/dev/mapper/usr /usr erofs ro 0 0\n',
  '/tmp': { kind: 'directory', mode: 0o1777 },
  '/usr/bin/app': { mode: 0o755 },
  [`${UNITS}/multi-user.target`]: '[Unit]\n',
  [`${UNITS}/app.service`]: '[Service]\nExecStart=/usr/bin/app\n',
  [`${ETC_UNITS}/default.target`]: `-> ${UNITS}/multi-user.target`,
  [`${ETC_UNITS}/multi-user.target.wants/app.service`]: `-> ${UNITS}/app.service`,
};

const audit = (
  files: Record<string, FileSpec>,
  commandLine: string | undefined = GOOD_LINE,
  allow: readonly string[] = [],
) => auditImage({ tree: treeOf({ ...GOOD, ...files }), commandLine }, allow);

/** `rule severity where` of each finding. */
const found = async (...args: Parameters<typeof audit>): Promise<string[]> =>
  (await audit(...args)).findings.map(
    ({ rule, severity, where }) => `${rule} ${severity} ${where}`,
  );

const SERIAL = {
  [`${UNITS}/serial-getty@.service`]: '[Service]\nExecStart=-/sbin/agetty %I\n',
  '/usr/lib/systemd/system-generators/systemd-getty-generator': { mode: 0o755 },
};

describe('auditImage', () => {
  it('finds nothing in a good root', async () => {
    const { findings, allowed, notes } = await audit({});
    expect({ findings, allowed }).toEqual({ findings: [], allowed: [] });
    expect(notes).toEqual([]);
  });

  it.each<[string, Record<string, FileSpec>, string[]]>([
    [
      'a unit that a target wants',
      {
        [`${UNITS}/sshd.service`]: '[Service]\nExecStart=/x\n',
        [`${ETC_UNITS}/multi-user.target.wants/sshd.service`]: `-> ${UNITS}/sshd.service`,
      },
      [`ssh-server high ${UNITS}/sshd.service`],
    ],
    [
      'a unit that a socket starts, two steps away',
      {
        [`${UNITS}/ssh@.service`]: '[Service]\nExecStart=/x\n',
        [`${UNITS}/ssh.socket`]: '[Socket]\nListenStream=22\nAccept=yes\n',
        [`${UNITS}/app.service`]: '[Unit]\nWants=other.target ssh.socket\n',
      },
      [`ssh-server high ${UNITS}/ssh.socket`, `ssh-server high ${UNITS}/ssh@.service`],
    ],
    [
      'a unit that is only there',
      { [`${UNITS}/sshd.service`]: '[Service]\nExecStart=/x\n' },
      [`ssh-server medium ${UNITS}/sshd.service`],
    ],
    [
      'a unit that a drop-in pulls in',
      {
        [`${UNITS}/telnetd.service`]: '[Service]\nExecStart=/x\n',
        [`${ETC_UNITS}/app.service.d/more.conf`]: '[Unit]\nRequires=\\\n  telnetd.service\n',
      },
      [`remote-shell high ${UNITS}/telnetd.service`],
    ],
    [
      'a program, wherever it is',
      { '/opt/x/sshd': { mode: 0o755 }, '/opt/x/dropbear': { mode: 0o644 } },
      ['ssh-server medium /opt/x/sshd'],
    ],
    [
      'a program that is another one by a link',
      { '/bin/busybox': { mode: 0o755 }, '/bin/telnetd': '-> busybox', '/bin/sshd': '-> nothing' },
      ['remote-shell medium /bin/telnetd'],
    ],
    [
      'an agent',
      {
        '/usr/bin/amazon-ssm-agent': { mode: 0o755 },
        [`${UNITS}/amazon-ssm-agent.service`]: '[Service]\nExecStart=/x\n',
        [`${ETC_UNITS}/default.target.wants/amazon-ssm-agent.service`]: 'x',
      },
      [
        'ssm-agent medium /usr/bin/amazon-ssm-agent',
        `ssm-agent high ${UNITS}/amazon-ssm-agent.service`,
      ],
    ],
    [
      'the configuration of cloud-init',
      { '/etc/cloud/cloud.cfg': 'x' },
      ['cloud-init high /etc/cloud/cloud.cfg'],
    ],
    [
      'EC2 Instance Connect',
      { '/opt/aws/bin/eic_run_authorized_keys': { mode: 0o755, text: 'x' } },
      [
        'instance-connect medium /opt/aws/bin/eic_run_authorized_keys',
        'instance-connect high /opt/aws/bin/eic_run_authorized_keys',
      ],
    ],
    [
      'an agent that runs what it is told',
      { '/usr/bin/salt-minion': { mode: 0o755 } },
      ['remote-management medium /usr/bin/salt-minion'],
    ],
    [
      'a login prompt of the getty generator',
      SERIAL,
      [`console-login high ${UNITS}/serial-getty@.service`],
    ],
    [
      'an instance of a template',
      {
        [`${UNITS}/getty@.service`]: '[Service]\nExecStart=/x\n',
        [`${ETC_UNITS}/getty.target.wants/getty@tty1.service`]: `-> ${UNITS}/getty@.service`,
        [`${UNITS}/getty.target`]: '[Unit]\n',
        [`${ETC_UNITS}/multi-user.target.wants/getty.target`]: `-> ${UNITS}/getty.target`,
      },
      [`console-login high ${UNITS}/getty@.service`, `console-login high ${UNITS}/getty@.service`],
    ],
    [
      'autologin',
      { [`${UNITS}/app.service`]: '[Service]\nExecStart=-/sbin/agetty --autologin root tty1\n' },
      [`autologin high ${UNITS}/app.service`],
    ],
    [
      'a shell on a console',
      { [`${UNITS}/app.service`]: '[Service]\nExecStart=/bin/sh\nStandardInput=tty\n' },
      [`debug-shell high ${UNITS}/app.service`],
    ],
    ['a password', { '/etc/shadow': 'root:$6$salt$hash:1::::::\n' }, ['password high /etc/shadow']],
    ['an empty password', { '/etc/shadow': 'root::1::::::\n' }, ['password high /etc/shadow']],
    [
      'a password in passwd',
      { '/etc/passwd': 'root::0:0::/:/bin/sh\n' },
      ['password high /etc/passwd'],
    ],
    ['an old password', { '/etc/shadow-': 'root:$y$x:1::::::\n' }, ['password high /etc/shadow-']],
    [
      'keys that may log in',
      { '/root/.ssh/authorized_keys': 'ssh-ed25519 A', '/home/a/.ssh/authorized_keys': '' },
      ['authorized-keys high /root/.ssh/authorized_keys'],
    ],
    [
      'a debug shell',
      {
        [`${UNITS}/debug-shell.service`]: '[Service]\nExecStart=/bin/sh\nStandardInput=tty\n',
        [`${ETC_UNITS}/sysinit.target.wants/debug-shell.service`]: 'x',
        [`${UNITS}/sysinit.target`]: '[Unit]\n',
      },
      [`debug-shell high ${UNITS}/debug-shell.service`],
    ],
    [
      'an emergency shell behind a locked root',
      {
        [`${UNITS}/emergency.service`]:
          '[Service]\nExecStart=-/bin/sulogin\nStandardInput=tty-force\n',
        [`${UNITS}/app.service`]: '[Unit]\nOnFailure=emergency.service\n',
      },
      [`debug-shell medium ${UNITS}/emergency.service`],
    ],
    [
      'an emergency shell with a password',
      {
        '/etc/shadow': 'root:$6$a$b:1::::::\n',
        [`${UNITS}/emergency.service`]: '[Service]\nExecStart=-/bin/sulogin\n',
        [`${UNITS}/app.service`]: '[Unit]\nOnFailure=emergency.service\n',
      },
      ['password high /etc/shadow', `debug-shell high ${UNITS}/emergency.service`],
    ],
    [
      'a disk that is mounted for writing',
      { '/etc/fstab': 'LABEL=data /data ext4 defaults 0 2\n/dev/sda1 /boot vfat ro 0 0\n' },
      ['writable-root high /etc/fstab'],
    ],
    [
      'a mount unit',
      { [`${UNITS}/data.mount`]: '[Mount]\nWhat=/dev/sdb\nWhere=/data\nType=xfs\n' },
      [`writable-root high ${UNITS}/data.mount`],
    ],
    ['swap', { '/etc/fstab': '/dev/sdb none swap sw 0 0\n' }, ['writable-root high /etc/fstab']],
    ['setuid', { '/usr/bin/su': { mode: 0o4755 } }, ['setuid medium /usr/bin/su']],
    ['setgid', { '/usr/bin/wall': { mode: 0o2755 } }, ['setuid medium /usr/bin/wall']],
    [
      'capabilities',
      { '/usr/bin/ping': { mode: 0o755, hasCapabilities: true } },
      ['file-capabilities medium /usr/bin/ping'],
    ],
    [
      'a folder for all',
      { '/srv': { kind: 'directory', mode: 0o777 } },
      ['world-writable medium /srv'],
    ],
    ['a device', { '/srv/sda': { kind: 'device', mode: 0o600 } }, ['device-file medium /srv/sda']],
    [
      'sudo',
      { '/usr/bin/sudo': { mode: 0o4755 } },
      ['setuid medium /usr/bin/sudo', 'sudo medium /usr/bin/sudo'],
    ],
    [
      'busybox without a table',
      { '/sbin/init': '-> ../bin/busybox', '/bin/busybox': { mode: 0o755 } },
      ['debug-shell high /bin/busybox'],
    ],
    [
      'a table of consoles',
      {
        '/etc/inittab':
          '#x\n::askfirst:-/bin/sh\nttyS0::respawn:/sbin/getty -L ttyS0\n::sysinit:/bin/sh /etc/rc\n',
      },
      ['console-login high /etc/inittab', 'debug-shell high /etc/inittab'],
    ],
    ['a script of System V', { '/etc/rc3.d/S01ssh': 'x' }, ['ssh-server high /etc/rc3.d/S01ssh']],
  ])('finds %s', async (_name, files, expected) => {
    expect((await found(files)).sort()).toEqual([...expected].sort());
  });

  it.each<[string, Record<string, FileSpec>, string]>([
    [
      'masked by a link',
      {
        [`${UNITS}/sshd.service`]: '[Service]\nExecStart=/x\n',
        [`${ETC_UNITS}/sshd.service`]: '-> /dev/null',
        [`${ETC_UNITS}/multi-user.target.wants/sshd.service`]: 'x',
      },
      GOOD_LINE,
    ],
    [
      'masked as a template',
      { ...SERIAL, [`${ETC_UNITS}/serial-getty@.service`]: '-> /dev/null' },
      GOOD_LINE,
    ],
    [
      'masked by an empty file',
      { [`${UNITS}/sshd.service`]: 'x', [`${ETC_UNITS}/sshd.service`]: '' },
      GOOD_LINE,
    ],
    ['without a program', { '/etc/x/sshd.conf': 'x', '/usr/sbin/sshd/x': 'x' }, GOOD_LINE],
  ])('finds nothing %s', async (_name, files, commandLine) => {
    expect(await found(files, commandLine)).toEqual([]);
  });

  it('does not follow a link of the root to the machine it runs on', async () => {
    const files = { '/etc/shadow': '-> /../../etc/real', '/etc/real': 'root:$6$a$b:1::::::\n' };
    expect(await found(files)).toEqual(['password high /etc/shadow']);
    expect(await found({ '/etc/shadow': '-> ../../../../../../proc/self/environ' })).toEqual([]);
    expect(await found({ '/etc/shadow': '-> shadow' })).toEqual([]);
  });

  it('says how a unit is reached', async () => {
    const { findings } = await audit({
      [`${UNITS}/sshd.service`]: 'x',
      [`${ETC_UNITS}/multi-user.target.wants/sshd.service`]: 'x',
    });
    expect(findings).toMatchObject([
      { what: expect.stringContaining('multi-user.target → sshd.service') },
    ]);
  });

  it('knows the /etc and the accounts of NixOS', async () => {
    const system = '/nix/store/abc-nixos-system-x';
    const files: Record<string, FileSpec> = {
      [`${system}/init`]: 'x',
      [`${system}/etc`]: '-> /nix/store/def-etc/etc',
      '/nix/store/def-etc/etc/systemd/system': '-> /nix/store/ghi-units',
      '/nix/store/ghi-units/sshd.service': 'x',
      '/nix/store/ghi-units/default.target': '-> multi-user.target',
      '/nix/store/ghi-units/multi-user.target': '[Unit]\nWants=sshd.service\n',
      '/nix/store/def-etc/etc/ssh/authorized_keys.d/root': 'key',
      '/nix/store/jkl-users-groups.json': JSON.stringify({
        users: [
          { name: 'root', hashedPassword: '!', password: null },
          { name: 'a', initialPassword: 'x' },
          { name: 'b', hashedPassword: '$6$a$b' },
          { name: 'c', hashedPasswordFile: '/x' },
        ],
      }),
    };
    const expected = [
      `ssh-server high ${system}/etc/systemd/system/sshd.service`,
      ...['password', 'password', 'password'].map(
        (rule) => `${rule} high /nix/store/jkl-users-groups.json`,
      ),
      `authorized-keys high ${system}/etc/ssh/authorized_keys.d/root`,
    ];
    const { [`${ETC_UNITS}/default.target`]: _, ...rest } = GOOD;
    const tree = treeOf({ ...rest, ...files });
    for (const commandLine of [`init=${system}/init ${GOOD_LINE}`, undefined]) {
      const subject = commandLine === undefined ? { tree } : { tree, commandLine };
      const { findings } = await auditImage(subject);
      expect(findings.map(({ rule, severity, where }) => `${rule} ${severity} ${where}`)).toEqual(
        expected,
      );
    }
  });

  it('takes what is allowed out of the findings, by rule and by place', async () => {
    const files = { '/a/su': { mode: 0o4755 }, '/b/su': { mode: 0o4755 }, '/c': { mode: 0o666 } };
    const { findings, allowed } = await audit(files, GOOD_LINE, ['world-writable', '/a/su']);
    expect(findings.map(({ where }) => where)).toEqual(['/b/su']);
    expect(allowed.map(({ where }) => where)).toEqual(['/a/su', '/c']);
  });

  it('says what each finding means and what to do', async () => {
    const { findings } = await audit({ '/etc/shadow': 'root::1::::::\n' });
    expect(findings[0]?.why).toMatch(/password/);
    expect(findings[0]?.remedy).toMatch(/Lock/);
  });

  it('names what else is on the EFI system partition', async () => {
    const { findings } = await auditImage({
      tree: treeOf(GOOD),
      commandLine: GOOD_LINE,
      otherEspFiles: ['/loader/addons/x.addon.efi'],
    });
    expect(findings.map(({ rule, where }) => `${rule} ${where}`)).toEqual([
      'esp-files ESP:/loader/addons/x.addon.efi',
    ]);
  });

  it('has a rule behind each check, and a check behind each rule', () => {
    const ids = RULES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { id, looksFor, why, remedy } of RULES)
      expect([id, looksFor, why, remedy].every((text) => text.length > 3)).toBe(true);
  });
});
