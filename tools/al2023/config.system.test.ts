import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { havePrograms } from '../agent/testing/start-swtpm.js';
import { runScript, type ScriptRun, type StandIns, standInPath } from './testing/run-script.js';

const SCRIPT = fileURLToPath(new URL('recipe/config.sh', import.meta.url));
const ready = havePrograms('systemctl', 'awk', 'find');

/** No package of the list is installed. */
const RPM_NONE = 'exit 1';
const UNITS = ['getty@', 'serial-getty@', 'sshd', 'amazon-ssm-agent', 'set-hostname-imds'];

describe.skipIf(!ready)('config.sh', () => {
  let folder: string;
  let root: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'al2023-root-'));
    root = join(folder, 'root');
    for (const unit of UNITS) {
      write(
        `usr/lib/systemd/system/${unit}.service`,
        '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n',
      );
    }
    want('getty.target.wants/getty@tty1.service', 'getty@.service');
    want('multi-user.target.wants/sshd.service', 'sshd.service');
    write('etc/systemd/system/getty@tty1.service.d/autologin.conf', '[Service]\n');
    write(
      'etc/passwd',
      'root:x:0:0:root:/root:/bin/bash\nec2-user:x:1000:1000::/home/ec2-user:\ndaemon:x:2:2::/:/sbin/nologin\n',
    );
    write('etc/shadow', 'root:$6$salt$hash:1::::::\nec2-user::1::::::\ndaemon:*:1::::::\n');
    write('etc/machine-id', '0123456789abcdef0123456789abcdef\n');
    write('root/.ssh/authorized_keys', 'ssh-ed25519 AAAA\n');
    write('home/ec2-user/.ssh/authorized_keys', 'ssh-ed25519 AAAA\n');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function write(path: string, text: string): void {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }

  function want(link: string, unit: string): void {
    const path = join(root, 'etc/systemd/system', link);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(`/usr/lib/systemd/system/${unit}`, path);
  }

  function configure(standIns: StandIns = { rpm: RPM_NONE }): ScriptRun {
    const env = { IMAGE_ROOT: root, PATH: standInPath(join(folder, 'bin'), standIns) };
    return runScript(SCRIPT, [], { env });
  }

  it('takes every way to log in', () => {
    const { status, stdout } = configure();
    expect(stdout).toBe('config.sh: no way to log in is left\n');
    expect(status).toBe(0);
    for (const unit of [...UNITS.slice(0, 4), 'debug-shell', 'emergency', 'rescue']) {
      expect(readlinkSync(join(root, `etc/systemd/system/${unit}.service`))).toBe('/dev/null');
    }
    for (const path of [
      'etc/systemd/system/multi-user.target.wants/sshd.service',
      'root/.ssh',
      'home/ec2-user/.ssh',
    ]) {
      expect(existsSync(join(root, path))).toBe(false);
    }
    expect(readFileSync(join(root, 'etc/shadow'), 'utf8')).toBe(
      'root:!*:1::::::\nec2-user:!*:1::::::\ndaemon:!*:1::::::\n',
    );
    expect(readFileSync(join(root, 'etc/passwd'), 'utf8')).not.toMatch(/:$|sh$/m);
  });

  it('lets each instance have its own identity', () => {
    configure();
    expect(readFileSync(join(root, 'etc/machine-id'), 'utf8')).toBe('');
    expect(
      readlinkSync(
        join(root, 'etc/systemd/system/multi-user.target.wants/set-hostname-imds.service'),
      ),
    ).toContain('set-hostname-imds.service');
  });

  it('gives the same again when it is run twice', () => {
    configure();
    expect(configure().status).toBe(0);
  });

  it('removes a package that came in as a dependency', () => {
    const log = join(folder, 'erased');
    const rpm = `case "$*" in
      *"--query"*openssh-server) [ ! -e ${log} ] ;;
      *"--erase"*) echo "$*" > ${log} ;;
      *) exit 1 ;;
    esac`;
    expect(configure({ rpm }).status).toBe(0);
    expect(readFileSync(log, 'utf8')).toContain('--erase --nodeps openssh-server');
  });

  it.each([
    [
      'a package that cannot be removed',
      { rpm: 'case "$*" in *--query*cloud-init) exit 0 ;; *--erase*) exit 0 ;; esac; exit 1' },
      'package cloud-init is installed',
    ],
    [
      'a getty left enabled',
      { rpm: RPM_NONE, systemctl: 'exit 0' },
      'unit getty@.service is not masked',
    ],
    [
      'passwords left',
      { rpm: RPM_NONE, sed: 'exit 0' },
      'account root has a password\n  account ec2-user has a password\n',
    ],
    ['shells left', { rpm: RPM_NONE, sed: 'exit 0' }, 'account root has the shell /bin/bash'],
    ['keys left', { rpm: RPM_NONE, rm: 'exit 0' }, 'key file'],
    [
      'a wanted unit left',
      { rpm: RPM_NONE, find: 'case "$*" in *-delete) ;; *) exec /usr/bin/find "$@" ;; esac' },
      'unit getty@tty1.service is wanted by',
    ],
  ])('fails the build for %s', (_, standIns, message) => {
    const { status, stdout, stderr } = configure(standIns as unknown as StandIns);
    expect(stderr).toContain('config.sh: a way to log in is left:');
    expect(stderr).toContain(message);
    expect(stdout).not.toContain('no way');
    expect(status).toBe(1);
  });

  it('fails the build for an SSH server that no package owns', () => {
    write('usr/sbin/sshd', '');
    expect(configure().stderr).toContain('program /usr/sbin/sshd exists');
  });

  it('fails the build when masking fails', () => {
    expect(configure({ rpm: RPM_NONE, systemctl: 'exit 1' }).status).toBe(1);
  });

  it('fails the build when there is no account file to look at', () => {
    rmSync(join(root, 'etc/shadow'));
    expect(configure().status).not.toBe(0);
  });

  it('leaves no password of an account that was added last without a newline', () => {
    appendFileSync(join(root, 'etc/shadow'), 'late:$6$x:1::::::');
    expect(configure().status).toBe(0);
    expect(readFileSync(join(root, 'etc/shadow'), 'utf8')).toContain('late:!*:1');
  });
});
