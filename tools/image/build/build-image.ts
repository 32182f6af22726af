import { mkdir, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import type { StubProfileName } from 'tee-verify/measure';
import { readInput } from '../../common/command-line.js';
import { ToolError } from '../../common/tool-error.js';
import { ARCHITECTURES, type ImageArchitecture } from '../disk/architecture.js';
import { checkSize } from '../disk/make-esp.js';
import {
  formatPartitionDescription,
  type PartitionDescription,
} from '../disk/partition-description.js';
import { assembleImage, type Root } from './assemble-image.js';
import { withRootHash } from './command-line-text.js';
import { readStub } from './find-stub.js';
import { requireTools } from './host-tools.js';
import { type ImageMeasurements, measureImage } from './measure-image.js';
import { checkOsRelease, readOsRelease } from './os-release.js';
import { replaceFolder, writing } from './output-folder.js';
import { readRootFolder } from './read-root-folder.js';
import { checkPolicy } from './root-tree.js';
import { withScratchFolder } from './scratch-folder.js';
import { unpackTar } from './unpack-tar.js';

/** What to build an image from. Paths of files; `-` is standard input, at most once. */
export interface BuildOptions {
  readonly kernel: string;
  readonly initrds: readonly string[];
  /** A folder, or a tar archive. */
  readonly root: string;
  /** The kernel's command line without the root hash. */
  readonly commandLine: string;
  readonly architecture: ImageArchitecture;
  readonly name: string;
  readonly version: string;
  /** Folder for the five files. */
  readonly out: string;
  /** Default: systemd's stub on this machine. */
  readonly stub?: string;
  /** Default: the root's, else one made of name and version. */
  readonly osRelease?: string;
  /** Default: 64 MiB on x86_64, 128 MiB on aarch64. */
  readonly espBytes?: number;
  /** Which directory the root's contents are for. Default: root. */
  readonly mount?: 'root' | 'usr';
  /** Keep the permission bits of a folder's files; those of an archive are always kept. */
  readonly keepModes?: boolean;
  readonly allowSetuid?: readonly string[];
  readonly allowDevice?: readonly string[];
  /** What the stub measures, when its version is not known. */
  readonly stubProfile?: StubProfileName;
  /** Revision of the source, for the manifest. */
  readonly sourceRevision?: string;
  /** Put the raw image's SHA-256 into the manifest; it has to be read again for that. */
  readonly withImageDigest?: boolean;
  /** Told what is being done. */
  readonly onProgress?: (step: string) => void;
}

/** What was built. */
export interface BuildResult extends ImageMeasurements {
  /** Path of the raw image. */
  readonly raw: string;
  readonly description: PartitionDescription;
}

const TOOLS = ['mkfs.erofs', 'veritysetup', 'mkfs.vfat', 'mmd', 'mcopy'] as const;
const OWN_FILES = ['unsigned.efi', 'partitions.json', 'manifest.json', 'tpm_pcr.json'];
const NAME = /^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$/;
const MAX_OS_RELEASE_BYTES = 64 * 1024;

/**
 * Builds a raw image: EFI system partition with a UKI, erofs, dm-verity. The same inputs give the
 * same bytes on every machine with the same host programs. What stood in the output folder stays
 * until the new files are whole.
 *
 * Throws `usage.*`, `host.*`, `file.*`, `output.*`, `root.*`, `tar.*`, `stub.*`, `uki-build.*`,
 * `esp.*`, and the codes of `measureUki`.
 */
export async function buildImage(options: BuildOptions): Promise<BuildResult> {
  const { architecture, mount = 'root', onProgress = () => undefined } = options;
  const { espBytes: usualEspBytes } = ARCHITECTURES[architecture];
  const { espBytes = usualEspBytes } = options;
  requireTools(TOOLS);
  checkNames(options);
  await checkOutside(options);
  checkSize(espBytes);
  withRootHash(options.commandLine, mount, '0'.repeat(64));
  const stub = await readStub(options.stub, architecture);
  const image = `${options.name}_${options.version}.raw`;

  return replaceFolder(options.out, isOwnFile, async (folder) => {
    const at = (name: string): string => join(folder, name);
    const work = at('work');
    await writing(options.out, () => mkdir(work));
    const inWork = (name: string): string => join(work, name);

    onProgress('reading the root');
    const root = await readRoot(options, inWork('root'));
    checkPolicy(root.entries, {
      allowSetuid: options.allowSetuid ?? [],
      allowDevice: options.allowDevice ?? [],
    });
    const osRelease =
      options.osRelease === undefined
        ? await readOsRelease(root.folder, root.entries, options)
        : checkOsRelease(await readInput(options.osRelease, MAX_OS_RELEASE_BYTES));

    const inputs = { ...options, mount, espBytes, stub, osRelease, root, onProgress };
    const uki = at('unsigned.efi');
    const scratchBytes = root.entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, espBytes);
    const description = await withScratchFolder(work, scratchBytes, (scratch) =>
      assembleImage(inputs, { image, raw: at(image), uki, scratch }),
    );

    onProgress('measuring');
    const measurements = await measureImage(uki, {
      ...{
        name: options.name,
        version: options.version,
        rootHash: description.rootHash,
        raw: at(image),
      },
      ...{ sourceRevision: options.sourceRevision, stubProfile: options.stubProfile },
      withoutImageDigest: !(options.withImageDigest ?? false),
    });
    await writing(options.out, async () => {
      await writeFile(at('partitions.json'), formatPartitionDescription(description));
      await writeFile(at('manifest.json'), measurements.manifest);
      await writeFile(at('tpm_pcr.json'), measurements.awsMeasurements);
      await rm(work, { recursive: true });
    });
    return { ...measurements, raw: join(options.out, image), description };
  });
}

/** Whether a build makes files of this name. */
export function isOwnFile(name: string): boolean {
  const parts = /^(.+)_(.+)\.raw$/.exec(name)?.slice(1);
  return OWN_FILES.includes(name) || (parts?.every((part) => NAME.test(part)) ?? false);
}

async function readRoot({ root, keepModes = false }: BuildOptions, work: string): Promise<Root> {
  const stats = root === '-' ? undefined : await stat(root).catch(() => undefined);
  // Absolute: no program may take its name for an option.
  if (stats?.isDirectory())
    return { folder: resolve(root), entries: readRootFolder(root, keepModes) };
  return { folder: work, entries: await unpackTar(root, work) };
}

/** An output in the tree would stand in the image, and an older one in the next. */
async function checkOutside({ root, out }: BuildOptions): Promise<void> {
  const tree = root === '-' ? undefined : await realpath(root).catch(() => undefined);
  const parent = await realpath(dirname(resolve(out))).catch(() => undefined);
  if (tree === undefined || parent === undefined) return; // who reads or writes there says so
  const place = join(parent, basename(resolve(out)));
  if (`${place}${sep}`.startsWith(tree.endsWith(sep) ? tree : `${tree}${sep}`))
    throw new ToolError('usage.option-conflict', {
      expected: '--out outside of --root',
      actual: `${place} in ${tree}`,
    });
}

function checkNames(options: BuildOptions): void {
  const { name, version, kernel, initrds, root, osRelease, stub } = options;
  for (const [option, value] of Object.entries({ name, version }))
    if (!NAME.test(value))
      throw new ToolError('usage.option-invalid', {
        expected: `--${option} of letters, digits, dots, plus and minus, at most 64`,
        actual: JSON.stringify(value),
      });
  if ([kernel, root, osRelease, stub, ...initrds].filter((path) => path === '-').length > 1)
    throw new ToolError('usage.option-conflict', { actual: 'standard input twice' });
  if (initrds.length === 0)
    throw new ToolError('usage.option-invalid', { expected: 'an initrd', actual: 'none' });
}
