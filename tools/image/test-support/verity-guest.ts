import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { copyProgram } from './copy-program.js';
import { kernelModules } from './debian-kernel.js';
import { packInitrd } from './pack-initrd.js';

const B = '/bin/busybox';

/** Sets up dm-verity with the root hash of the command line and starts the root. */
const INITRD_INIT = `#!${B} sh
${B} mount -t proc proc /proc
${B} mount -t sysfs sysfs /sys
${B} mount -t devtmpfs dev /dev
for module in $(${B} cat /modules/order); do ${B} insmod /modules/$module; done
for word in $(${B} cat /proc/cmdline); do
  case $word in roothash=*) hash=\${word#roothash=} ;; esac
done
export DM_DISABLE_UDEV=1
/sbin/veritysetup open --panic-on-corruption /dev/nvme0n1p2 root /dev/nvme0n1p3 "$hash" &&
  ${B} mount -t erofs -o ro /dev/mapper/root /root &&
  exec ${B} switch_root /root /sbin/init
echo TEE-REFUSED >/dev/ttyS0
${B} poweroff -f
`;

/** What the guest says about itself on the serial console, between TEE-BEGIN and TEE-END. */
const ROOT_INIT = `#!${B} sh
${B} mount -t proc proc /proc
${B} mount -t sysfs sysfs /sys
${B} mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1
echo
echo TEE-BEGIN
echo "MOUNT $(${B} grep ' / ' /proc/mounts | ${B} tail -n 1)"
echo "MAPPING $(${B} cat /sys/block/dm-0/dm/uuid) read-only $(${B} cat /sys/block/dm-0/ro)"
${B} touch /written && echo WRITABLE
${B} mount -o remount,rw / && echo WRITABLE
echo "WROTE $(echo x 2>/dev/null >/dev/mapper/root && echo yes || echo no)"
echo "CMDLINE $(${B} cat /proc/cmdline)"
/usr/bin/tee-attest pcrs --tpm /dev/tpmrm0
echo TEE-END
${B} poweroff -f
`;

/** An initrd with veritysetup and the modules for a root of \`tee-image build\`. For tests. */
export function buildVerityInitrd(): Uint8Array {
  const root = mkdtempSync(join(tmpdir(), 'tee-image-initrd-'));
  try {
    for (const folder of ['proc', 'sys', 'dev', 'root', 'modules', 'run'])
      mkdirSync(join(root, folder));
    copyProgram('/sbin/veritysetup', root);
    copyBusybox(root);
    const modules = kernelModules('dm-verity', 'erofs');
    for (const module of modules) copyFileSync(module, join(root, 'modules', basename(module)));
    const order = modules.map((module) => basename(module)).join('\n');
    writeFileSync(join(root, 'modules/order'), order);
    writeScript(join(root, 'init'), INITRD_INIT);
    return packInitrd(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** A root tree that reports and powers off; \`teeAttest\` is tee-attest as one executable. For tests. */
export function buildGuestRoot(root: string, teeAttest: string): void {
  for (const folder of ['proc', 'sys', 'dev', 'sbin', 'etc', 'tmp'])
    mkdirSync(join(root, folder), { recursive: true });
  copyBusybox(root);
  copyProgram(teeAttest, root, 'usr/bin/tee-attest');
  writeFileSync(join(root, 'etc/os-release'), 'ID=test\nVERSION_ID=1\n');
  writeScript(join(root, 'sbin/init'), ROOT_INIT);
}

function copyBusybox(root: string): void {
  mkdirSync(join(root, 'bin'), { recursive: true });
  copyFileSync(B, join(root, 'bin/busybox'));
  chmodSync(join(root, 'bin/busybox'), 0o755);
}

function writeScript(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}
