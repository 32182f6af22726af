import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  GLOBAL_VARIABLE_GUID,
  IMAGE_SECURITY_DATABASE_GUID,
  type MeasuredEvent,
  measureUki,
  type StubProfileName,
} from 'tee-verify/measure';
import { createNodeHasher, type FileSource, withFiles } from '../../common/file-source.js';
import { runDigestJobsInParallel } from '../../common/parallel-digest-jobs.js';
import { ToolError } from '../../common/tool-error.js';
import { requireTools } from '../build/host-tools.js';
import { type ImageMeasurements, measureImage } from '../build/measure-image.js';
import { replaceFolder, writing } from '../build/output-folder.js';
import { RawWriter } from '../build/raw-writer.js';
import { makeEsp } from '../disk/make-esp.js';
import {
  formatPartitionDescription,
  type PartitionDescription,
} from '../disk/partition-description.js';
import { readImageSigner, type SignerOptions } from './image-signer.js';
import { type BuiltImage, readBuild, UNSIGNED } from './read-build.js';
import {
  bootVariables,
  IDENTITY_VARIABLES,
  readIdentity,
  type SecureBootIdentity,
} from './secure-boot-identity.js';
import { signEfi } from './sign-efi.js';
import { encodeUefiData } from './uefi-variable-store.js';

/** What to sign, with what, and where the signed image goes. */
export interface SignOptions extends SignerOptions {
  /** Output folder of a build. */
  readonly build: string;
  /** Folder of the Secure Boot identity. */
  readonly identity: string;
  /** Folder to make. */
  readonly output: string;
  /** What the stub measures, when its version is not known. */
  readonly stubProfile?: StubProfileName;
}

/** What signing made. */
export interface SignedImage {
  /** Path of the raw image. */
  readonly image: string;
  /** PCR index → 96 lower-case hex digits. */
  readonly pcrs: ReadonlyMap<number, string>;
  readonly notes: readonly string[];
}

const SIGNED = 'signed.efi';
const CHUNK_BYTES = 1024 * 1024;
const NAMES: readonly string[] = [
  ...[SIGNED, 'uefi_data.aws', 'manifest.json', 'tpm_pcr.json', 'partitions.json'],
];
/** Non-volatile, boot services, runtime, time-based authenticated (UEFI 2.10, 8.2). */
const ATTRIBUTES = 0x27;

/**
 * Signs the image of a build: sbsign signs the UKI, a new EFI system partition takes the place of
 * the old one in a copy of the raw image, and everything that follows from it is written beside.
 * The build itself stays as it is.
 *
 * Throws `secure-boot.*`, `identity.malformed`, `partitions.malformed`, `esp.*`, `host.*`,
 * `output.not-replaceable`, `file.*`, and what `measureUki` throws, e.g. `uki.signer-not-in-db`.
 */
export async function signBuild(options: SignOptions): Promise<SignedImage> {
  requireTools(['sbsign', 'mkfs.vfat', 'mmd', 'mcopy']);
  const identity = await readIdentity(options.identity);
  const signer = await readImageSigner(options.identity, options);
  const build = await readBuild(options.build, options.stubProfile);
  const digest = await unsignedDigest(build, options.stubProfile);

  const image = build.partitions.image.replace(/\.raw$/, '.signed.raw');
  const isOwn = (name: string): boolean => NAMES.includes(name) || name.endsWith('.signed.raw');
  return replaceFolder(options.output, isOwn, async (folder) => {
    const [uki, raw] = [join(folder, SIGNED), join(folder, image)];
    await signEfi(build.uki, uki, signer);
    await replaceEsp(build, uki, raw, folder);
    // Verifies the signature, too, and that firmware with this db would start the image.
    const measurements = await measureSigned(build, identity, uki, raw, options.stubProfile);
    checkDigest(digest, imageDigestOf(measurements.events));
    await writeResults(folder, build.partitions, image, identity, measurements);
    return {
      image: join(options.output, image),
      pcrs: measurements.pcrs,
      notes: measurements.notes,
    };
  });
}

/** The Authenticode digest of the UKI as it was built. */
async function unsignedDigest(
  { uki }: BuiltImage,
  stubProfile: StubProfileName | undefined,
): Promise<string | undefined> {
  return withFiles([uki], async ([source]) => {
    const { events } = await measureUki([{ name: UNSIGNED, source: source as FileSource }], {
      ...{ pcrs: [4], createHasher: createNodeHasher, runDigestJobs: runDigestJobsInParallel },
      ...(stubProfile === undefined ? {} : { stubProfile }),
    });
    return imageDigestOf(events);
  });
}

const imageDigestOf = (events: readonly MeasuredEvent[]): string | undefined =>
  events.find(({ pcr, kind }) => pcr === 4 && kind === 'image')?.digest;

/** What PCR4 measures of the UKI must stay; sbsign pads files whose size is no multiple of 8. */
function checkDigest(before: string | undefined, after: string | undefined): void {
  if (before === undefined || before !== after)
    throw new ToolError('secure-boot.digest-moved', {
      expected: `the Authenticode digest ${before}`,
      actual: `${after}`,
    });
}

function measureSigned(
  { manifest, partitions, name, version }: BuiltImage,
  identity: SecureBootIdentity,
  uki: string,
  raw: string,
  stubProfile: StubProfileName | undefined,
): Promise<ImageMeasurements> {
  const { sourceRevision, builder } = manifest.provenance ?? {};
  return measureImage(uki, {
    ...{ name, version, raw, sourceRevision, builder, stubProfile },
    rootHash: partitions.rootHash,
    secureBoot: bootVariables(identity),
  });
}

async function replaceEsp(
  { raw, partitions }: BuiltImage,
  uki: string,
  output: string,
  folder: string,
): Promise<void> {
  const [{ offsetBytes, sizeBytes }] = partitions.partitions;
  const esp = join(folder, 'esp.img');
  const { architecture, espVolumeId: volumeId } = partitions;
  await makeEsp({ uki, output: esp, architecture, sizeBytes, volumeId });
  const writer = await RawWriter.create(output, partitions.sizeBytes);
  try {
    await writer.copy(raw, 0);
    await withFiles([esp], async ([file]) => {
      // All of it: nothing of the old partition may stay where the new one has zeros.
      for (let at = 0; at < sizeBytes; at += CHUNK_BYTES)
        await writer.write((await file?.read(at, CHUNK_BYTES)) as Uint8Array, offsetBytes + at);
    });
  } finally {
    await writer.close();
  }
  await writing(esp, () => rm(esp));
}

async function writeResults(
  folder: string,
  partitions: PartitionDescription,
  image: string,
  { variables }: SecureBootIdentity,
  { manifest, awsMeasurements }: ImageMeasurements,
): Promise<void> {
  const uefiData = encodeUefiData(
    IDENTITY_VARIABLES.map((name) => ({
      name,
      guid: name.startsWith('db') ? IMAGE_SECURITY_DATABASE_GUID : GLOBAL_VARIABLE_GUID,
      attributes: ATTRIBUTES,
      data: variables[name],
      // An empty variable is an absent one.
    })).filter(({ data }) => data.length > 0),
  );
  const files: Readonly<Record<string, string>> = {
    'uefi_data.aws': uefiData,
    'manifest.json': manifest,
    'tpm_pcr.json': awsMeasurements,
    'partitions.json': formatPartitionDescription({ ...partitions, image }),
  };
  for (const [file, text] of Object.entries(files))
    await writing(file, () => writeFile(join(folder, file), text, { mode: 0o644 }));
}
