import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const file = (name: string): string =>
  readFileSync(new URL(`recipe/${name}`, import.meta.url), 'utf8');

/** What the README promises of the image, where KIWI's schema allows other words as well. */
describe('the KIWI description', () => {
  const description = file('appliance.kiwi').replace(/<!--[\s\S]*?-->/g, '');
  const attribute = (name: string): string =>
    new RegExp(`\\b${name}="([^"]*)"`).exec(description)?.[1] ?? `no ${name}`;
  const names = (element: string): string[] =>
    [...description.matchAll(new RegExp(`<${element} name="([^"]*)"`, 'g'))].map((m) => m[1] ?? '');

  it.each([
    ['image', 'oem'],
    ['firmware', 'uefi'],
    ['filesystem', 'erofs'],
    ['bootpartition', 'false'],
    ['overlayroot', 'true'],
    ['overlayroot_write_partition', 'false'],
    ['overlayroot_readonly_filesystem', 'erofs'],
    ['verity_blocks', 'all'],
    ['editbootinstall', 'edit_boot_install.sh'],
    ['uefi', 'true'],
    ['package_gpgcheck', 'true'],
  ])('sets %s to %s', (name, value) => {
    expect(attribute(name)).toBe(value);
  });

  it('boots one UKI, without a menu', () => {
    expect(description).toContain('<bootloader name="systemd_boot" timeout="0"/>');
  });

  it('stops at corruption, writes to memory, and offers no shell and no login', () => {
    const words = attribute('kernelcmdline').split(' ');
    for (const word of [
      'rd.kiwi.verity_options=panic-on-corruption,ignore-zero-blocks',
      'rd.root.overlay.temporary',
      'rd.shell=0',
      'systemd.getty_auto=false',
      'systemd.gpt_auto=0',
    ]) {
      expect(words).toContain(word);
    }
    expect(words.join(' ')).not.toMatch(/debug|init=|rd\.break|single/);
  });

  it('has what boot and attestation need', () => {
    expect(names('package')).toEqual(
      expect.arrayContaining([
        ...['systemd-boot', 'veritysetup', 'dracut-kiwi-verity', 'dracut-kiwi-overlay'],
        ...['erofs-utils', 'aws-nitro-tpm-tools'],
      ]),
    );
  });

  it('has no users, and ignores every package that config.sh would remove', () => {
    expect(description).not.toContain('<users');
    const removed =
      /^packages=\(([^)]*)\)/m.exec(file('config.sh'))?.[1]?.trim().split(/\s+/) ?? [];
    expect(removed).toContain('openssh-server');
    expect(names('ignore')).toEqual(expect.arrayContaining(removed));
    expect(names('package').filter((name) => removed.includes(name))).toEqual([]);
  });
});
