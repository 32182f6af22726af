import { constants } from 'node:fs';
import { copyFile, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  formatAwsMeasurements,
  GLOBAL_VARIABLE_GUID,
  IMAGE_SECURITY_DATABASE_GUID,
  measureUki,
  type SecureBootVariables,
  toMeasurementManifest,
  type UkiMeasurement,
} from 'tee-verify/measure';
import { createNodeHasher, openFile } from '../../common/file-source.js';
import { runDigestJobsInParallel } from '../../common/parallel-digest-jobs.js';
import { ToolError } from '../../common/tool-error.js';
import { requireTools } from '../build/host-tools.js';
import { replaceFolder, writing } from '../build/output-folder.js';
import { makeEsp } from '../disk/make-esp.js';
import { formatPartitionDescription } from '../disk/partition-description.js';
import { writeAll } from '../disk/write-all.js';
import { readImageSigner, type SignerOptions } from './image-signer.js';
import { type BuiltImage, readBuild, UNSIGNED } from './read-build.js';
import { readIdentity, type SecureBootIdentity } from './secure-boot-identity.js';
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
const NAMES: readonly string[] = [
  ...[SIGNED, 'uefi_data.aws', 'manifest.json', 'tpm_pcr.json', 'partitions.json'],
];
const AWS_PCRS = [4, 7, 12];
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
  const build = await readBuild(options.build);
  const unsigned = await measure(build.uki, {});
  checkManifest(build, unsigned);

  const image = build.partitions.image.replace(/(?:\.signed)?\.raw$/, '.signed.raw');
  const isOwn = (name: string): boolean => NAMES.includes(name) || name.endsWith('.signed.raw');
  const signed = await replaceFolder(options.output, isOwn, async (folder) => {
    const uki = join(folder, SIGNED);
    await signEfi(build.uki, uki, signer);
    // Verifies the signature, and that firmware with this db would start the image.
    const measurement = await measure(uki, variablesOf(identity));
    checkDigest(unsigned, measurement);
    await replaceEsp(build, uki, join(folder, image), folder);
    await writeResults(folder, build, image, identity, measurement);
    return measurement;
  });
  return { image: join(options.output, image), pcrs: signed.pcrs, notes: signed.notes };
}

async function measure(path: string, secureBoot: SecureBootVariables): Promise<UkiMeasurement> {
  const source = await openFile(path);
  try {
    return await measureUki([{ name: 'BOOT.EFI', source }], {
      secureBoot,
      createHasher: createNodeHasher,
      runDigestJobs: runDigestJobsInParallel,
    });
  } finally {
    await source.close();
  }
}

function variablesOf({ variables }: SecureBootIdentity): SecureBootVariables {
  const { PK: pk, KEK: kek, db, dbx } = variables;
  return { pk, kek, db, dbx };
}

/** Files of two builds must not meet in one folder. */
function checkManifest({ manifest }: BuiltImage, { pcrs }: UkiMeasurement): void {
  const pinned = manifest.sets.map((set) => set.pcrs.get(4)).filter((value) => value !== undefined);
  const found = pcrs.get(4);
  if (pinned.length !== 1 || Buffer.from(pinned[0] ?? []).toString('hex') !== found)
    throw new ToolError('secure-boot.image-invalid', {
      expected: `a manifest with the PCR4 of ${UNSIGNED}, ${found}`,
      actual: pinned.length === 1 ? 'another one' : `${pinned.length} of them`,
    });
}

/** PCR4 must stay what it was, but for the kernel, which some stubs load in another way. */
function checkDigest(unsigned: UkiMeasurement, signed: UkiMeasurement): void {
  const [before, after] = [unsigned, signed].map(
    ({ events }) => events.find(({ pcr, kind }) => pcr === 4 && kind === 'image')?.digest,
  );
  if (before === undefined || before !== after)
    throw new ToolError('secure-boot.digest-moved', {
      expected: `the Authenticode digest ${before}`,
      actual: `${after}`,
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
  await writing(output, async () => {
    await copyFile(raw, output, constants.COPYFILE_FICLONE);
    await copyInto(esp, output, offsetBytes);
    await rm(esp);
  });
}

async function copyInto(from: string, to: string, offset: number): Promise<void> {
  const [source, target] = [await open(from, 'r'), await open(to, 'r+')];
  try {
    await target.chmod(0o644);
    let at = offset;
    for await (const chunk of source.createReadStream({
      autoClose: false,
      highWaterMark: 1 << 20,
    })) {
      await writeAll(target, chunk as Buffer, at);
      at += (chunk as Buffer).length;
    }
    await target.sync();
  } finally {
    await source.close();
    await target.close();
  }
}

async function writeResults(
  folder: string,
  { manifest, partitions }: BuiltImage,
  image: string,
  { variables }: SecureBootIdentity,
  measurement: UkiMeasurement,
): Promise<void> {
  const { name = 'image', imageVersion, provenance } = manifest;
  const full = {
    ...toMeasurementManifest(measurement, {
      name,
      ...(imageVersion === undefined ? {} : { imageVersion }),
    }),
    ...(provenance === undefined ? {} : { provenance }),
  };
  const aws = new Map([...measurement.pcrs].filter(([pcr]) => AWS_PCRS.includes(pcr)));
  const variable = (key: keyof typeof variables, guid: string) => ({
    ...{ name: key, guid, attributes: ATTRIBUTES, data: variables[key] },
  });
  const uefiData = encodeUefiData(
    [
      variable('PK', GLOBAL_VARIABLE_GUID),
      variable('KEK', GLOBAL_VARIABLE_GUID),
      variable('db', IMAGE_SECURITY_DATABASE_GUID),
      variable('dbx', IMAGE_SECURITY_DATABASE_GUID),
      // An empty variable is an absent one.
    ].filter(({ data }) => data.length > 0),
  );
  const files: Readonly<Record<string, string>> = {
    'uefi_data.aws': uefiData,
    'manifest.json': `${JSON.stringify(full, null, 2)}\n`,
    'tpm_pcr.json': formatAwsMeasurements(aws),
    'partitions.json': formatPartitionDescription({ ...partitions, image }),
  };
  for (const [file, text] of Object.entries(files))
    await writing(file, () => writeFile(join(folder, file), text, { mode: 0o644 }));
}
