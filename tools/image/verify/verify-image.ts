import type { ReferenceManifest } from 'tee-verify/manifest';
import {
  type ByteSource,
  findSection,
  measureUki,
  type PeImage,
  readPeImage,
  type SecureBootVariables,
  type StubProfileName,
  type UkiMeasurement,
} from 'tee-verify/measure';
import { createNodeHasher, type FileSource } from '../../common/file-source.js';
import { runDigestJobsInParallel } from '../../common/parallel-digest-jobs.js';
import { ToolError } from '../../common/tool-error.js';
import { findRootHash, findVerityBypass } from '../build/command-line-text.js';
import { ARCHITECTURES } from '../disk/architecture.js';
import { gapsOf } from '../disk/gpt.js';
import { partitionUuids } from '../disk/guid.js';
import { readAt } from '../disk/read-at.js';
import { readEsp } from '../disk/read-esp.js';
import { type RawImage, readRawImage } from '../disk/read-raw-image.js';
import {
  readVeritySuperblock,
  recomputeVerity,
  VERITY_BLOCK_BYTES,
  verityBytes,
} from '../disk/verity.js';
import { checkZeros } from '../disk/zeros.js';
import { CheckList, type CheckResult } from './check-list.js';
import { compareManifest } from './compare-manifest.js';

/** What to verify an image with. */
export interface VerifyImageOptions {
  readonly manifest: ReferenceManifest;
  /** The variables of a signed image; without them Secure Boot is off. */
  readonly secureBoot?: SecureBootVariables;
  readonly stubProfile?: StubProfileName;
  readonly onProgress?: (check: string) => void;
}

/** What became of the checks. */
export interface ImageVerification {
  readonly passed: boolean;
  readonly checks: readonly CheckResult[];
  /** PCR index → 96 hex digits; undefined when the UKI could not be measured. */
  readonly pcrs: ReadonlyMap<number, string> | undefined;
}

const MAX_TEXT_BYTES = 64 * 1024;
/** Of dm-verity, at the start of its first block. */
const SUPERBLOCK_BYTES = 512;

/**
 * Recomputes from a raw image what its manifest says, believing nothing that stands in it. Never
 * throws for a bad image: each check says what it found. Memory does not grow with the image. Throws
 * `file.unreadable`.
 */
export async function verifyImage(
  raw: FileSource,
  options: VerifyImageOptions,
): Promise<ImageVerification> {
  const list = new CheckList();
  const { onProgress = () => undefined, manifest } = options;
  const check: CheckList['run'] = (name, needs, work) => {
    onProgress(name);
    return list.run(name, needs, work);
  };
  const image = await check('partition table', [], () => readParts(raw));
  const uki = await check('EFI system partition', [image], () => findUki(image as RawImage));
  const pe = await check('UKI', [image, uki], () => readUki(image as RawImage, uki as ByteSource));
  const rootHash = await check('command line', [image, pe], () =>
    readRootHash(image as RawImage, pe as PeImage),
  );
  await check('partition UUIDs', [image, rootHash], () =>
    checkUuids(image as RawImage, rootHash as string),
  );
  await check('dm-verity', [image, rootHash], () =>
    checkVerity(image as RawImage, rootHash as string),
  );
  const measured = await check('measurement', [uki], () => measure(uki as ByteSource, options));
  await check('PCRs', [measured], async () => ({
    detail: compareManifest(manifest, measured as UkiMeasurement),
    value: true,
  }));
  await check('provenance', [rootHash], () => checkProvenance(raw, manifest, rootHash as string));
  return { passed: list.passed, checks: list.results, pcrs: measured?.pcrs };
}

type Found<T> = Promise<{ readonly detail: string; readonly value: T }>;

async function readParts(raw: ByteSource): Found<RawImage> {
  const value = await readRawImage(raw);
  for (const gap of gapsOf(value.table))
    await checkZeros(raw, gap, 'outside of the partitions', 'gpt.malformed');
  const labels = value.table.partitions.map(({ label }) => label).join(', ');
  return { value, detail: `${labels}; ${value.architecture}` };
}

/** Exactly one program, where firmware starts it. */
async function findUki({ esp, architecture }: RawImage): Found<ByteSource> {
  const contents = await readEsp(esp.source, 0, esp.sizeBytes);
  const { bootPath } = ARCHITECTURES[architecture];
  const [file] = contents.files;
  if (contents.files.length !== 1 || file?.path.toUpperCase() !== bootPath)
    throw new ToolError('esp.unexpected-file', {
      expected: `only /${bootPath}`,
      actual: contents.files.map(({ path }) => `/${path}`).join(', ') || 'no file',
    });
  return { value: file.source, detail: `only /${bootPath}, ${file.source.size} bytes` };
}

async function readUki({ architecture }: RawImage, uki: ByteSource): Found<PeImage> {
  const value = await readPeImage(uki);
  const { machine } = ARCHITECTURES[architecture];
  if (value.machine !== machine)
    throw new ToolError('verify.uki', {
      expected: `a program for ${architecture} (0x${machine.toString(16)})`,
      actual: `0x${value.machine.toString(16)}`,
    });
  const isSigned = value.certificates.size > 0;
  return { value, detail: `${value.sections.length} sections, ${isSigned ? '' : 'not '}signed` };
}

async function readRootHash({ mount }: RawImage, pe: PeImage): Found<string> {
  const section = findSection(pe, '.cmdline');
  const length = Math.min(section?.virtualSize ?? 0, section?.rawSize ?? 0);
  const expected = `a command line with one ${mount}hash= of 64 hex digits`;
  if (section === undefined || length > MAX_TEXT_BYTES)
    throw new ToolError('verify.uki', { expected, actual: `${length} bytes` });
  const bytes = await readAt(pe.source, section.rawOffset, length, '.cmdline', 'verify.uki');
  const line = Buffer.from(bytes).toString('latin1').replace(/\0.*$/s, '');
  const found = findRootHash(line);
  if (found?.mount !== mount)
    throw new ToolError('verify.uki', { expected, actual: JSON.stringify(line.slice(0, 400)) });
  const bypass = findVerityBypass(line);
  if (bypass !== undefined)
    throw new ToolError('verify.uki', {
      expected: 'words that leave dm-verity on',
      actual: bypass,
    });
  return { value: found.rootHash, detail: `${mount}hash=${found.rootHash}` };
}

/** systemd finds the partitions by their UUIDs: the halves of the root hash. */
async function checkUuids({ data, hashes }: RawImage, rootHash: string): Found<true> {
  const [dataUuid, hashesUuid] = partitionUuids(rootHash);
  if (data.uuid !== dataUuid || hashes.uuid !== hashesUuid)
    throw new ToolError('verify.uki', {
      expected: `partitions ${dataUuid} and ${hashesUuid}`,
      actual: `${data.uuid} and ${hashes.uuid}`,
    });
  return { value: true, detail: 'the halves of the root hash' };
}

async function checkVerity({ data, hashes }: RawImage, rootHash: string): Found<true> {
  const superblock = await readVeritySuperblock(hashes.source);
  const computed = await recomputeVerity(data.source, hashes.source, superblock);
  if (computed !== rootHash)
    throw new ToolError('verity.root-hash-mismatch', { expected: rootHash, actual: computed });
  const protectedBytes = superblock.dataBlocks * VERITY_BLOCK_BYTES;
  // Nobody measures what stands behind; firmware looks for file systems in any partition.
  const rest = [protectedBytes, data.sizeBytes] as const;
  await checkZeros(data.source, rest, 'behind the data', 'verity.data-mismatch');
  const slack = [SUPERBLOCK_BYTES, VERITY_BLOCK_BYTES] as const;
  await checkZeros(hashes.source, slack, 'behind the superblock', 'verity.superblock');
  const behind = [verityBytes(superblock.dataBlocks), hashes.sizeBytes] as const;
  await checkZeros(hashes.source, behind, 'behind the hash tree', 'verity.superblock');
  return { value: true, detail: `${superblock.dataBlocks} blocks have the root hash` };
}

async function measure(
  uki: ByteSource,
  { secureBoot = {}, stubProfile }: VerifyImageOptions,
): Found<UkiMeasurement> {
  const value = await measureUki([{ name: 'the UKI', source: uki }], {
    createHasher: createNodeHasher,
    secureBoot,
    ...(stubProfile === undefined ? {} : { stubProfile }),
  });
  const stub = value.stubVersion ?? 'a stub without version';
  return { value, detail: `${stub}, Secure Boot ${value.secureBoot ? 'on' : 'off'}` };
}

/** What the manifest says about where it came from is of no weight, but must not be wrong. */
async function checkProvenance(
  raw: FileSource,
  { provenance }: ReferenceManifest,
  rootHash: string,
): Found<true> {
  const differs = (expected: string, actual: string): ToolError =>
    new ToolError('verify.provenance', { expected, actual });
  const { verityRootHash, imageDigest } = provenance ?? {};
  if (verityRootHash !== undefined && verityRootHash.toLowerCase() !== rootHash)
    throw differs(`root hash ${verityRootHash}`, rootHash);
  const digest = /^(?:sha256:)?([0-9a-f]{64})$/i.exec(imageDigest ?? '')?.[1];
  if (digest === undefined)
    return { value: true, detail: `${verityRootHash ? 'root hash' : 'nothing'} compared` };
  const whole = { algorithm: 'SHA-256' as const, pieces: [{ offset: 0, length: raw.size }] };
  const [bytes = new Uint8Array()] = await runDigestJobsInParallel(raw, [whole]);
  const actual = Buffer.from(bytes).toString('hex');
  if (actual !== digest.toLowerCase()) throw differs(`image sha256:${digest}`, `sha256:${actual}`);
  return { value: true, detail: 'root hash and digest of the image' };
}
