import { join } from 'node:path';
import { parseManifest, type ReferenceManifest } from 'tee-verify/manifest';
import type { ByteSource, StubProfileName } from 'tee-verify/measure';
import {
  createNodeHasher,
  type FileSource,
  readSmallFile,
  withFiles,
} from '../../common/file-source.js';
import { ToolError } from '../../common/tool-error.js';
import { describeRaw } from '../describe/describe-raw.js';
import { openRaw } from '../describe/open-raw.js';
import {
  type PartitionDescription,
  parsePartitionDescription,
} from '../disk/partition-description.js';
import { verifyImage } from '../verify/verify-image.js';

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
 * Reads the output folder of a build, and signs nothing off that `tee-image verify` would refuse: the
 * image must be what its manifest says, and start exactly unsigned.efi. Throws `file.unreadable`,
 * `partitions.malformed`, `manifest.malformed`, `secure-boot.image-invalid`.
 */
export async function readBuild(
  folder: string,
  stubProfile: StubProfileName | undefined,
): Promise<BuiltImage> {
  const partitions = parsePartitionDescription(await readText(join(folder, 'partitions.json')));
  const manifest = parseManifest(await readText(join(folder, 'manifest.json')));
  const { name, imageVersion: version } = manifest;
  if (name === undefined || version === undefined)
    invalid('a manifest as tee-image build writes it', 'another one');
  const [raw, uki] = [join(folder, partitions.image), join(folder, UNSIGNED)];
  await withFiles([raw, uki], async (files) => {
    const [image, program] = files as [FileSource, FileSource];
    const { checks } = await verifyImage(image, {
      manifest,
      ...(stubProfile === undefined ? {} : { stubProfile }),
    });
    const failed = checks.find(({ result }) => result !== 'passed');
    if (failed !== undefined)
      invalid(`tee-image verify to accept ${raw}`, `${failed.check}: ${failed.detail}`);
    await checkEsp(image, program, partitions);
  });
  return { raw, uki, partitions, manifest, name, version };
}

/** The description must be of this image, and unsigned.efi what it starts. */
async function checkEsp(
  image: ByteSource,
  program: ByteSource,
  described: PartitionDescription,
): Promise<void> {
  const opened = await openRaw(image);
  const actual = await describeRaw(described.image, opened);
  const wrong = Object.keys(described).find(
    (key) =>
      shown(described, key as keyof PartitionDescription) !==
      shown(actual, key as keyof PartitionDescription),
  );
  if (wrong !== undefined) invalid(`the ${wrong} of the image in partitions.json`, 'other');
  const isSame =
    opened.uki.size === program.size && (await hash(opened.uki)) === (await hash(program));
  if (!isSame) invalid(`${UNSIGNED} in the system partition`, 'another program');
}

const shown = (description: PartitionDescription, key: keyof PartitionDescription): string =>
  JSON.stringify(description[key]);

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
