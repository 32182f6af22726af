import { concatBytes } from '../bytes/bytes.js';
import { decodeHex, encodeHex } from '../bytes/hex.js';
import { AttestationError, reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { type ByteSource, readExactly } from './byte-source.js';
import { type Crc32, crc32 as portableCrc32 } from './crc32.js';
import { type DigestJob, type RunDigestJobs, runDigestJobs } from './digest-jobs.js';
import {
  EIF,
  type EifLayout,
  type EifSection,
  type EifSectionType,
  readEifLayout,
} from './eif-layout.js';
import { type EifMetadata, parseEifMetadata } from './eif-metadata.js';
import { checkEifSignature, type EifSignature, parseEifSignature } from './eif-signature.js';
import type { CreateHasher } from './hasher.js';
import { createNobleHasher } from './noble-hasher.js';
import { signingCertificatePcr } from './parent-pcrs.js';
import { printable } from './text.js';

/** How an image is measured; nothing of it changes the result. */
export interface MeasureEifOptions {
  /** Default: plain JavaScript. */
  readonly createHasher?: CreateHasher;
  /** Default: one pass with `createHasher`. */
  readonly runDigestJobs?: RunDigestJobs;
  /** Default: plain JavaScript. */
  readonly crc32?: Crc32;
}

/** What an enclave image is, and which PCRs an enclave that runs it has. */
export interface EifMeasurement extends EifLayout {
  /** The kernel's command line, fit to be shown (control characters escaped). */
  readonly commandLine: string;
  readonly metadata: EifMetadata | undefined;
  /** PCR index → 96 lower-case hex digits: 0, 1, 2, and 8 when the image is signed. */
  readonly pcrs: ReadonlyMap<number, string>;
  readonly signature: EifSignature | undefined;
  /** CRC-32 of the file; the header must state the same. */
  readonly computedCrc32: number;
}

/** A measurement and what is wrong with the image. */
export interface EifInspection extends EifMeasurement {
  /** Wrong CRC, unreadable metadata, a signature that does not verify: as errors with their codes. */
  readonly problems: readonly AttestationError[];
}

const CHUNK_BYTES = 1024 * 1024;
const PCR_BYTES = 48;

/**
 * Computes the PCRs of a Nitro Enclave image (EIF version 4) and checks it: headers, CRC, metadata,
 * and the signature by the certificate inside. The image is read in parts. Throws `eif.*`.
 *
 * Each PCR is SHA-384(48 zero bytes || SHA-384(contents)): PCR0 over kernel, command line and all
 * ramdisks; PCR1 over kernel, command line and the first ramdisk; PCR2 over the other ramdisks;
 * PCR8 over the signing certificate. Source: specification of the Enclave Image Format, version 4.
 */
export async function measureEif(
  source: ByteSource,
  options: MeasureEifOptions = {},
): Promise<EifMeasurement> {
  const { problems, ...measurement } = await inspectEif(source, options);
  const [first] = problems;
  if (first !== undefined) throw first;
  return measurement;
}

/**
 * Like `measureEif`, but only throws (`eif.*`) when the headers are inconsistent: anything else that
 * is wrong stands in `problems`. There is no PCR8 when the signature is wrong.
 */
export async function inspectEif(
  source: ByteSource,
  options: MeasureEifOptions = {},
): Promise<EifInspection> {
  const layout = await readEifLayout(source);
  const problems: AttestationError[] = [];
  const keep = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof AttestationError)) throw error;
      problems.push(error);
      return undefined;
    }
  };
  const computedCrc32 = await crcOf(source, options.crc32 ?? portableCrc32);
  keep(() => checkCrc(layout.statedCrc32, computedCrc32));
  const pcrs = await imagePcrs(source, layout.sections, options);
  const commandLine = await readSection(source, layout, 'cmdline');
  const metadata = await readSection(source, layout, 'metadata');
  const signed = await readSection(source, layout, 'signature');
  const signature = signed && keep(() => parseEifSignature(signed));
  if (signature !== undefined)
    keep(() => {
      checkEifSignature(signature, decodeHex(pcrs.get(0) as string) as Uint8Array);
      pcrs.set(8, signingCertificatePcr(signature.certificate.der));
    });
  return {
    ...layout,
    commandLine: printable(new TextDecoder().decode(commandLine), 4096),
    metadata: metadata && keep(() => parseEifMetadata(metadata)),
    pcrs,
    signature,
    computedCrc32,
    problems,
  };
}

/** Over header and sections in file order, without the CRC itself. */
async function crcOf(source: ByteSource, crc32: Crc32): Promise<number> {
  const truncated = MEASUREMENT_CODES['eif.truncated'];
  let crc = crc32(await readExactly(source, 0, EIF.crcOffset, 'EIF header', truncated), 0);
  const load = (at: number): Promise<Uint8Array> =>
    readExactly(source, at, Math.min(CHUNK_BYTES, source.size - at), 'sections', truncated);
  for (let at: number = EIF.headerBytes; at < source.size; at += CHUNK_BYTES)
    crc = crc32(await load(at), crc);
  return crc;
}

function checkCrc(stated: number, computed: number): void {
  const hex = (value: number): string => value.toString(16).padStart(8, '0');
  if (stated !== computed)
    reject(
      MEASUREMENT_CODES['eif.crc-mismatch'],
      `${hex(computed)}, the CRC-32 of the file`,
      `${hex(stated)} in the header`,
    );
}

async function imagePcrs(
  source: ByteSource,
  sections: readonly EifSection[],
  { createHasher = createNobleHasher, runDigestJobs: runJobs }: MeasureEifOptions,
): Promise<Map<number, string>> {
  const boot = ['kernel', 'cmdline'].flatMap((type) => sections.filter((s) => s.type === type));
  const [first, ...others] = sections.filter(({ type }) => type === 'ramdisk');
  const system = first === undefined ? boot : [...boot, first];
  const jobs = [[...system, ...others], system, others].map(
    (parts): DigestJob => ({
      algorithm: 'SHA-384',
      pieces: parts.map(({ dataOffset, sizeBytes }) => ({ offset: dataOffset, length: sizeBytes })),
    }),
  );
  const digests = await (runJobs === undefined
    ? runDigestJobs(source, jobs, createHasher)
    : runJobs(source, jobs));
  const extend = (digest: Uint8Array): string => {
    const hasher = createHasher('SHA-384');
    hasher.update(concatBytes(new Uint8Array(PCR_BYTES), digest));
    return encodeHex(hasher.digest());
  };
  return new Map(digests.map((digest, pcr) => [pcr, extend(digest)]));
}

async function readSection(
  source: ByteSource,
  { sections }: EifLayout,
  wanted: EifSectionType,
): Promise<Uint8Array | undefined> {
  const section = sections.find(({ type }) => type === wanted);
  if (section === undefined) return undefined;
  const { dataOffset, sizeBytes } = section;
  const truncated = MEASUREMENT_CODES['eif.truncated'];
  return new Uint8Array(await readExactly(source, dataOffset, sizeBytes, wanted, truncated));
}
