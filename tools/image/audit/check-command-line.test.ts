import { describe, expect, it } from 'vitest';
import { checkCommandLine, notesOnCommandLine } from './check-command-line.js';
import { kernelWords } from './kernel-words.js';
import { treeOf } from './test-support/tree-of.js';

const GOOD = 'roothash=00 lockdown=integrity';
const subject = (commandLine: string) => ({ tree: treeOf({}), commandLine });
const rules = (commandLine: string): string[] =>
  checkCommandLine(subject(commandLine)).map(({ rule, what }) => `${rule}: ${what}`);

describe('checkCommandLine', () => {
  it('accepts the command line of our images', () => {
    expect(
      rules(
        'panic=30 boot.panic_on_fail lockdown=1 console=ttyS0,115200n8 console=tty0 random.trust_cpu=on systemd.verity=1 systemd.verity_root_options=panic-on-corruption tpm_crb.force=1 systemd.gpt_auto=0 usrhash=00',
      ),
    ).toEqual([]);
  });

  it.each([
    ['systemd.debug_shell', 'command-line-debug'],
    ['systemd.debug-shell=ttyS0', 'command-line-debug'],
    ['rd.systemd.debug_shell=1', 'command-line-debug'],
    ['rd.break', 'command-line-debug'],
    ['rd.break=pre-mount', 'command-line-debug'],
    ['rd.shell=1', 'command-line-debug'],
    ['init=/bin/sh', 'command-line-debug'],
    ['"init=/bin/sh"', 'command-line-debug'],
    ['rdinit=/bin/x', 'command-line-debug'],
    ['single', 'command-line-debug'],
    ['emergency', 'command-line-debug'],
    ['systemd.unit=rescue.target', 'command-line-debug'],
    ['systemd.run="/bin/sh -c x"', 'command-line-debug'],
    ['systemd.mask=app.service', 'command-line-debug'],
    ['systemd.setenv=SYSTEMD_SULOGIN_FORCE=1', 'command-line-debug'],
    ['systemd.set_credential=passwd.plaintext-password.root:x', 'command-line-debug'],
    ['boot.shell_on_fail', 'command-line-debug'],
    ['systemd.verity=0', 'verity'],
    ["'systemd.verity=0'", 'verity'],
    ['systemd.verity=no', 'verity'],
    ['rd.systemd.verity=FALSE', 'verity'],
    ['systemd.verity_root_options=panic-on-corruption,ignore-corruption', 'verity'],
    ['systemd.verity-usr-options=ignore-corruption', 'verity'],
    ['"dm-mod.create=r,,,ro,0 8 verity 1 ignore_corruption"', 'verity'],
    ['rw', 'writable-root'],
    ['rootflags=noatime,rw', 'writable-root'],
    ['lockdown=none', 'lockdown'],
    ['module.sig_enforce=0', 'lockdown'],
    ['systemd.getty_auto=1', 'console-login'],
    ['systemd.getty_auto=true', 'console-login'],
    ['init=/usr/bin/../bin/dash', 'command-line-debug'],
    ['systemd.setenv=SYSTEMD_SULOGIN_FORCE=yes', 'command-line-debug'],
    ['SYSTEMD_SULOGIN_FORCE=1', 'command-line-debug'],
    ['systemd.ssh_listen=vsock::22', 'command-line-debug'],
    ['systemd.mount-extra=/dev/sdb:/etc', 'command-line-debug'],
    ['rd.emergency', 'command-line-debug'],
    ['rd.rescue', 'command-line-debug'],
    ['rd.shell', 'command-line-debug'],
    ['root=/dev/nvme0n1p2', 'verity'],
    ['root=PARTUUID=00', 'verity'],
    ['root=gpt-auto', 'verity'],
    ['root=', 'verity'],
    ['overlayroot=device:dev=/dev/sdb', 'writable-root'],
    ['rd.root.overlay.write=/dev/sdb', 'writable-root'],
  ])('finds %s', (word, rule) => {
    expect(rules(`${GOOD} ${word}`)).toEqual([expect.stringMatching(`^${rule}: `)]);
  });

  it.each([
    ['', ['verity: none of', 'lockdown: none of']],
    ['lockdown=integrity', ['verity: none of']],
    ['roothash=00', ['lockdown: none of']],
    ['lockdown=integrity roothash=', ['verity: none of']],
    ['lockdown=integrity dm-mod.create="r,,,ro,0 8 linear /dev/sda 0"', ['verity: none of']],
  ])('misses what has to be there in "%s"', (line, expected) => {
    expect(rules(line)).toEqual(expected.map((text) => expect.stringContaining(text)));
  });

  it.each([
    'systemd.verity=1',
    'systemd.verity_root_options=restart-on-corruption',
    'init=/nix/store/x/init',
    'app.single=1',
    'ro',
    'systemd.mask_x',
    'systemd.getty_auto=0',
    // Off is off: dracut's way to have no shell.
    'rd.shell=0',
    'rd.emergency=halt',
    'systemd.debug_shell=no',
    'systemd.crash_shell=0',
    'root=/dev/mapper/root',
    'root=fstab',
    'init=/sbin/push',
  ])('accepts %s', (word) => {
    expect(rules(`${GOOD} ${word}`)).toEqual([]);
  });

  it('notes a level of lockdown that Linux does not know', () => {
    expect(notesOnCommandLine(subject('lockdown=1'))).toEqual([
      expect.stringContaining('lockdown=integrity'),
    ]);
    expect(notesOnCommandLine(subject('lockdown=1 lockdown=integrity'))).toEqual([]);
    expect(notesOnCommandLine({ tree: treeOf({}) })).toHaveLength(1);
  });

  it('splits words as the kernel does', () => {
    expect(kernelWords(' a  b="c d" "e f"=g\n"x')).toEqual(['a', 'b=c d', 'e f=g', 'x']);
  });
});
