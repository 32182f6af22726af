import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packInitrd } from './pack-initrd.js';

/** What the guest runs: it prints its PCRs and its event log, and stops. */
const INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t securityfs securityfs /sys/kernel/security
exec >/dev/ttyS0 2>&1
echo
echo TEE-BEGIN
for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23; do
  echo "PCR $i $(/bin/busybox cat /sys/class/tpm/tpm0/pcr-sha384/$i)"
done
echo CMDLINE "$(/bin/busybox cat /proc/cmdline)"
echo "LOG $(/bin/busybox base64 -w 0 /sys/kernel/security/tpm0/binary_bios_measurements)"
echo TEE-END
/bin/busybox poweroff -f
`;

/** A gzipped cpio archive with busybox and the init script above. */
export function buildGuestInitrd(): Uint8Array {
  const root = mkdtempSync(join(tmpdir(), 'tee-image-initrd-'));
  try {
    for (const folder of ['bin', 'proc', 'sys', 'dev']) mkdirSync(join(root, folder));
    copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
    writeFileSync(join(root, 'init'), INIT);
    chmodSync(join(root, 'init'), 0o755);
    return packInitrd(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}
