import { Command, InvalidArgumentError, Option } from 'commander';
import { STUB_PROFILES, type StubProfileName } from 'tee-verify/measure';
import { ProgressLine, writeOutput } from '../../common/command-line.js';
import type { ImageArchitecture } from '../disk/architecture.js';
import { buildImage } from './build-image.js';

interface BuildFlags {
  readonly kernel: string;
  readonly initrd: readonly string[];
  readonly root: string;
  readonly cmdline: string;
  readonly stub?: string;
  readonly stubProfile?: StubProfileName;
  readonly osRelease?: string;
  readonly arch: ImageArchitecture;
  readonly mount: 'root' | 'usr';
  readonly name: string;
  readonly version: string;
  readonly espSize?: number;
  readonly keepModes?: boolean;
  readonly allowSetuid: readonly string[];
  readonly allowDevice: readonly string[];
  readonly sourceRevision?: string;
  readonly imageDigest?: boolean;
  readonly out: string;
}

const list = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/** `tee-image build`: makes a raw image. */
export function buildCommand(): Command {
  return new Command('build')
    .description('build a raw image that boots read-only; the same inputs give the same bytes')
    .requiredOption('--kernel <file>', 'kernel with an EFI stub (bzImage, or Image of arm64)')
    .requiredOption('--initrd <file>', 'initrd; repeat it for several, in order', list, [])
    .requiredOption(
      '--root <dir|tar>',
      'the root: a folder, or a tar archive (gzip too; - reads it)',
    )
    .requiredOption('--cmdline <text>', 'kernel command line; the root hash is added to it')
    .option('--stub <file>', "EFI stub (default: systemd's on this machine)")
    .addOption(
      new Option(
        '--stub-profile <version>',
        'what the stub measures, when its own version is not known',
      ).choices(Object.keys(STUB_PROFILES)),
    )
    .option('--os-release <file>', "text about the system (default: the root's, else a short one)")
    .addOption(
      new Option('--arch <name>', 'processor the image is for')
        .choices(['x86_64', 'aarch64'])
        .default('x86_64'),
    )
    .addOption(
      new Option('--mount <where>', 'what the partition holds: the whole root, or only /usr')
        .choices(['root', 'usr'])
        .default('root'),
    )
    .option('--name <text>', 'name of the image', 'image')
    .option('--version <text>', 'version of the image', '1')
    .option(
      '--esp-size <mib>',
      'EFI system partition in MiB (default: 64, on aarch64 128)',
      parseMebibytes,
    )
    .option('--keep-modes', 'keep the permission bits of a folder (default: 755 and 644)')
    .option(
      '--allow-setuid <path>',
      'allow this setuid or setgid program; may be repeated',
      list,
      [],
    )
    .option('--allow-device <path>', 'allow this device file; may be repeated', list, [])
    .option('--source-revision <text>', 'what the image was built from, for the manifest')
    .option('--image-digest', "put the raw image's SHA-256 into the manifest (takes a while)")
    .requiredOption('--out <dir>', 'folder for the image and what belongs to it')
    .addHelpText(
      'after',
      `
Makes in the folder: <name>_<version>.raw, unsigned.efi, partitions.json, manifest.json
(for tee-verify --manifest) and tpm_pcr.json (as AWS's tools write it). An earlier output there is
replaced when everything is done; a failure leaves it alone.

Owners and permissions: files of a folder belong to root and have mode 755 or 644; those of an
archive keep what it says. Times and extended attributes are left out.

Needs mkfs.erofs, veritysetup, mkfs.vfat and mtools. On Debian:
  apt-get install erofs-utils cryptsetup-bin dosfstools mtools systemd-boot-efi

Examples:
  tee-image build --kernel vmlinuz --initrd initrd.img --root tree/ \\
    --cmdline 'console=ttyS0 panic=30 lockdown=1' --name payments --version 7 --out out
  docker export "$id" | tee-image build --kernel vmlinuz --initrd initrd.img --root - \\
    --cmdline 'console=ttyS0' --out out

Exit status: 0 built, 1 the inputs cannot become an image or a program failed (the code says why),
2 usage, unreadable or unwritable file.`,
    )
    .action(runBuild);
}

async function runBuild(flags: BuildFlags): Promise<void> {
  const progress = new ProgressLine();
  const { stub, stubProfile, osRelease, espSize, keepModes, sourceRevision } = flags;
  try {
    const result = await buildImage({
      kernel: flags.kernel,
      initrds: flags.initrd,
      root: flags.root,
      commandLine: flags.cmdline,
      architecture: flags.arch,
      mount: flags.mount,
      name: flags.name,
      version: flags.version,
      allowSetuid: flags.allowSetuid,
      allowDevice: flags.allowDevice,
      withImageDigest: flags.imageDigest ?? false,
      out: flags.out,
      ...(stub === undefined ? {} : { stub }),
      ...(stubProfile === undefined ? {} : { stubProfile }),
      ...(osRelease === undefined ? {} : { osRelease }),
      ...(espSize === undefined ? {} : { espBytes: espSize * 1024 * 1024 }),
      ...(keepModes === undefined ? {} : { keepModes }),
      ...(sourceRevision === undefined ? {} : { sourceRevision }),
      onProgress: (step) => progress.show(step),
    });
    progress.clear();
    for (const note of result.notes) process.stderr.write(`note: ${note}\n`);
    const lines = [
      `${result.raw}`,
      `root hash  ${result.description.rootHash}`,
      ...[...result.pcrs].map(([pcr, value]) => `PCR${pcr}`.padEnd(11) + value),
    ];
    await writeOutput(undefined, `${lines.join('\n')}\n`);
  } finally {
    progress.clear();
  }
}

function parseMebibytes(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of MiB.');
  return Number(text);
}
