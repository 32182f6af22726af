/** Codes of building, signing, booting, verifying and auditing disk images: code → what it means and what to do. */
export const IMAGE_CODES = {
  'host.tool-missing': [
    'a program that the work needs is not installed',
    'Install the package named.',
  ],
  'host.tool-failed': [
    'a program that the work needs failed',
    'See what it said; another version of it may help.',
  ],
  'output.not-replaceable': [
    'the output folder holds something that this command did not make',
    'Name a new folder, or one that holds an earlier output of this command.',
  ],

  // partitions.json, which a build writes and later steps read.
  'partitions.malformed': [
    'the partition description cannot be read',
    'Take partitions.json as the build wrote it, or build again.',
  ],

  // The EFI system partition.
  'esp.too-small': [
    'the files do not fit into the EFI system partition',
    'Make it larger with --esp-size, or the initrd smaller.',
  ],
  'esp.malformed': [
    'the EFI system partition is not the plain FAT32 file system that an image has',
    'Build the image again; do not trust one that others changed.',
  ],
  'esp.unexpected-file': [
    'the EFI system partition does not hold exactly one program at its place',
    'Firmware may start something else than what was measured. Do not trust this image.',
  ],

  // The root file system of an image.
  'root.unsupported-file': [
    'the root holds something that no read-only root can have',
    'Leave out sockets and pipes: programs make them when they run.',
  ],
  'root.setuid': [
    'the root holds a setuid or setgid program that was not allowed',
    'Leave it out, or allow it with --allow-setuid <path>. It runs with the rights of its owner.',
  ],
  'root.device': [
    'the root holds a device file that was not allowed',
    'Leave it out: the kernel makes /dev itself. Or allow it with --allow-device <path>.',
  ],
  'root.owner-unsupported': [
    'a file of the root has an owner that cannot be stored',
    'Owners and groups are numbers from 0 to 65535.',
  ],
  'root.changed': [
    'the root changed while it was read',
    'Build again when nothing writes there any more.',
  ],
  'root.os-release': [
    'the os-release file cannot go into the image',
    'Pass a text of at most 64 KiB with --os-release.',
  ],
  'tar.malformed': [
    'the archive of the root cannot be read',
    'Pass a tar archive (ustar, pax or GNU), plain or compressed by gzip.',
  ],
  'tar.path-escape': [
    'a name in the archive leads out of it, or through something that is no folder',
    'Nothing was built. Do not trust this archive.',
  ],
  'tar.duplicate': [
    'a name stands twice in the archive',
    'Which one counts depends on the reader; make the archive anew.',
  ],
  'tar.unsupported': [
    'the archive holds an entry of a kind that is not known',
    'Make it without sparse files and volumes, e.g. tar --format=pax.',
  ],

  // The unified kernel image.
  'stub.not-found': [
    'there is no EFI stub on this machine for the architecture',
    'Install systemd-boot-efi (Debian) or systemd (Nix), or name a stub with --stub.',
  ],
  'stub.has-sections': [
    'the stub carries sections that a UKI adds',
    'Pass the bare stub, e.g. linuxx64.efi.stub, not a UKI.',
  ],
  'stub.no-header-room': [
    "the stub's header has no room for more sections",
    'Pass another version of the stub.',
  ],
  'stub.unsupported': [
    'the stub has a form that cannot be extended',
    'Pass the bare stub of systemd for this architecture, not signed.',
  ],
  'uki-build.too-large': ['the UKI would be too large', 'Make the initrd smaller.'],
  'uki-build.architecture': [
    'the kernel or the stub is for another architecture',
    'Pass --arch, and a kernel and a stub for it.',
  ],
  'uki-build.command-line': [
    'the kernel command line cannot be used',
    'Pass one line of printable ASCII without roothash= and usrhash=: the build adds the right one.',
  ],

  // Reading raw images.
  'gpt.malformed': [
    'the partition table is not what a build writes',
    'The image was cut, damaged or changed. Build it again.',
  ],
  'gpt.partitions': [
    'the image does not hold exactly a system, a data and a hash partition',
    'What else is on the disk is not measured. Do not trust this image.',
  ],
  'verity.superblock': [
    'the hash partition does not begin as dm-verity with SHA-256 does',
    'The image was cut, damaged or changed. Build it again.',
  ],
  'verity.data-mismatch': [
    'the data partition does not have the hashes that stand in the hash partition',
    'Its contents were changed, or the disk lost them. The image will not boot.',
  ],
  'verity.root-hash-mismatch': [
    'the data partition does not have the root hash of the command line',
    'Contents and UKI are of two builds, or somebody changed one of them.',
  ],
  'verify.uki': [
    'the UKI is not for the disk it stands on',
    'Contents and UKI are of two builds, or somebody changed one of them.',
  ],
  'verify.pcr-mismatch': [
    'a boot of this image gives other PCRs than the manifest says',
    'With Secure Boot, pass the variables with --secure-boot. tee-image diff shows which event differs.',
  ],
  'verify.manifest-unusable': [
    'the manifest says nothing that can be compared with the image',
    'Pass the manifest of this image; it must list PCR4.',
  ],
  'verify.provenance': [
    'the manifest names another image as where it came from',
    'Pass the manifest of this image.',
  ],

  // Secure Boot: the identity (PK, KEK, db), and signing with it.
  'identity.exists': [
    'the folder holds something already',
    'Name a folder that is not there yet. An identity is kept: a new one changes PCR7 and so shuts out the images signed with the old one.',
  ],
  'identity.malformed': [
    'the folder holds no whole Secure Boot identity',
    'It needs PK.esl, KEK.esl and db.esl; make one with tee-image keys new.',
  ],
  'secure-boot.key-invalid': [
    'the private key cannot sign images for firmware',
    'Pass PEM with an RSA key of 2048 to 4096 bits, not encrypted, or a PKCS#11 URI.',
  ],
  'secure-boot.key-mismatch': [
    'the private key does not belong to the certificate',
    'Pass the certificate that was issued for this key.',
  ],
  'secure-boot.certificate-invalid': [
    'the certificate cannot be used for Secure Boot',
    'Pass one X.509 certificate, PEM or DER, with an RSA key of 2048 to 4096 bits.',
  ],
  'secure-boot.image-invalid': [
    'the folder is not the whole output of one build',
    'Build again; sign reads the raw image, unsigned.efi, partitions.json and manifest.json.',
  ],
  'secure-boot.digest-moved': [
    "signing changed the image's digest",
    'The image must have a size that is a multiple of 8 and no signature; make it with tee-image build.',
  ],

  // The UEFI variable store of EC2.
  'uefi-data.malformed': [
    'the UEFI variable store cannot be read',
    'It is not one, or was damaged.',
  ],
  'uefi-data.checksum': [
    'the checksum of the UEFI variable store is wrong',
    'It was damaged; make it again.',
  ],
  'uefi-data.version': ['the UEFI variable store has another version', 'Version 0 is known.'],
  'uefi-data.dictionary-needed': [
    'the UEFI variable store was compressed with a dictionary that is not at hand',
    'Stores that EC2 hands out are; those that tee-image writes are not.',
  ],
  'uefi-data.limit-exceeded': [
    'the UEFI variable store exceeds a limit',
    'Leave out variables: EC2 takes 64000 characters of base64.',
  ],

  // Booting in QEMU.
  'boot.firmware-missing': [
    'there is no firmware to boot with',
    'Install ovmf (Debian) or OVMFFull.fd (Nix), or name the folder with --firmware.',
  ],
  'boot.firmware-variables': [
    "the firmware's variable file cannot be used",
    'Take an empty one of EDK2 (OVMF_VARS*.fd) that fits the code file beside it.',
  ],
  'boot.failed': ['the machine could not be started', 'See what QEMU or swtpm said.'],
  'boot.image-unsupported': [
    'the image is not for this machine',
    'x86_64 images with a GPT are booted.',
  ],
  'boot.timeout': ['the boot took too long', 'Give it more time with --timeout.'],
  'boot.tpm-log': [
    'what the guest did with its TPM cannot be followed',
    "The log of swtpm has a form that is not known; read the guest's PCRs inside it with tee-attest pcrs.",
  ],
  'boot.pcrs-differ': [
    "the guest's PCRs are not those of the manifest",
    'Compare with the table printed; tee-image measure lists the events behind each PCR.',
  ],

  'raw-image.unsupported': [
    'the raw image has a form that is not read',
    'Read are images with one EFI system partition with a UKI, one partition with the root or /usr, and its hashes.',
  ],

  // The file system of the root, as an audit reads it.
  'erofs.malformed': [
    'the file system of the root cannot be read',
    'It is no erofs file system, or was damaged. Do not trust this image.',
  ],
  'erofs.unsupported': [
    'the file system of the root has a form that is not read',
    'Uncompressed erofs on one device is. Audit the folder that the image was made of.',
  ],
} as const;
