import { join } from 'node:path';
import { parseManifest, type ReferenceManifest } from 'tee-verify/manifest';
import type { ByteSource } from 'tee-verify/measure';
import {
  createNodeHasher,
  type FileSource,
  readSmallFile,
  withFiles,
} from '../../common/file-source.js';
import { ToolError } from '../../common/tool-error.js';
import { ARCHITECTURES } from '../disk/architecture.js';
import {
  type PartitionDescription,
  parsePartitionDescription,
} from '../disk/partition-description.js';
import { readEsp } from '../disk/read-esp.js';

/** The UKI as a build leaves it. */
export const UNSIGNED = 'unsigned.efi';

/** The output of a build, found to belong together. */
export interface BuiltImage {
  /** Path of the raw image. */
  readonly raw: string;
  /** Path of unsigned.efi. */
  readonly uki: string;
  readonly partitions: PartitionDescription;
  readonly manifest: ReferenceManifest;
  /** As the manifest says. */
  readonly name: string;
  readonly version: string;
}

const MAX_TEXT_BYTES = 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;

/**
 * Reads the output folder of a build; its EFI system partition must hold exactly unsigned.efi.
 * Throws `file.unreadable`, `partitions.malformed`, `manifest.malformed`, `esp.*`,
 * `secure-boot.image-invalid`.
 */
export async function readBuild(folder: string): Promise<BuiltImage> {
  const partitions = parsePartitionDescription(await readText(join(folder, 'partitions.json')));
  const manifest = parseManifest(await readText(join(folder, 'manifest.json')));
  const { name, imageVersion: version, platform } = manifest;
  if (name === undefined || version === undefined || platform !== 'nitrotpm')
    invalid('a manifest as tee-image build writes it', 'another one');
  const [raw, uki] = [join(folder, partitions.image), join(folder, UNSIGNED)];
  await withFiles([raw, uki], async (files) => {
    const [image, program] = files as [FileSource, FileSource];
    if (image.size !== partitions.sizeBytes)
      invalid(`${raw} of ${partitions.sizeBytes} bytes`, `${image.size}`);
    await checkEsp(image, program, partitions);
  });
  return { raw, uki, partitions, manifest, name, version };
}

/** The system partition must hold exactly this program, where firmware looks for it. */
async function checkEsp(
  image: ByteSource,
  program: ByteSource,
  { partitions, architecture, espVolumeId }: PartitionDescription,
): Promise<void> {
  const [{ offsetBytes, sizeBytes }] = partitions;
  const { files, volumeId } = await readEsp(image, offsetBytes, sizeBytes);
  const { bootPath } = ARCHITECTURES[architecture];
  const [file] = files;
  if (file === undefined || files.length > 1 || file.path.toUpperCase() !== bootPath)
    invalid(`${bootPath} alone in the system partition`, files.map(({ path }) => path).join(', '));
  if (volumeId !== espVolumeId)
    invalid(`a system partition with the volume id ${espVolumeId}`, volumeId);
  if (file.source.size !== program.size || (await hash(file.source)) !== (await hash(program)))
    invalid(`${UNSIGNED} in the system partition`, 'another program');
}

async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readSmallFile(path, MAX_TEXT_BYTES));
}

async function hash(source: ByteSource): Promise<string> {
  const hasher = createNodeHasher('SHA-256');
  for (let at = 0; at < source.size; at += CHUNK_BYTES)
    hasher.update(await source.read(at, Math.min(CHUNK_BYTES, source.size - at)));
  return Buffer.from(hasher.digest()).toString('hex');
}

function invalid(expected: string, actual: string): never {
  throw new ToolError('secure-boot.image-invalid', { expected, actual });
}
