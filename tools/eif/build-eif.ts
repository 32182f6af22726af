import { createHash, type Hash } from 'node:crypto';
import { EIF, type EifArchitecture, signingCertificatePcr } from 'tee-verify/measure';
import { ToolError } from '../common/tool-error.js';
import { type BuildMetadata, encodeBuildMetadata } from './build-metadata.js';
import { EifFileWriter } from './eif-file-writer.js';
import type { Pieces } from './read-pieces.js';
import type { EifSigner } from './sign-pcr0.js';

/** What an enclave image is made of. */
export interface EifParts {
  readonly architecture: EifArchitecture;
  /** bzImage (x86_64) or Image (aarch64). */
  readonly kernel: Pieces;
  /** The kernel's command line, without a NUL at the end. */
  readonly commandLine: string;
  /** In order: bootstrap, then application. At least one. */
  readonly ramdisks: readonly Pieces[];
  readonly metadata: BuildMetadata;
  /** What nitro-cli takes when it is not told otherwise. Default 1 GiB and 2. */
  readonly defaultMemoryBytes?: number;
  readonly defaultCpus?: number;
  readonly signer?: EifSigner;
}

/** What was built. */
export interface BuiltEif {
  /** PCR index → 96 lower-case hex digits: 0, 1, 2, and 8 when it is signed. */
  readonly pcrs: ReadonlyMap<number, string>;
}

const DEFAULT_MEMORY_BYTES = 1024 ** 3;
const DEFAULT_CPUS = 2;
const MAX_COMMAND_LINE_BYTES = 64 * 1024;

/**
 * Writes an enclave image (EIF version 4) and computes its PCRs in the same pass: kernel, command
 * line, metadata, ramdisks, signature. Everything is streamed; the bytes depend on the parts only.
 * Throws `build.*`, `file.*`, `signing.*`; then no file is left.
 */
export async function buildEif(path: string, parts: EifParts): Promise<BuiltEif> {
  const { architecture, kernel, ramdisks, signer } = parts;
  const commandLine = toBytes(parts.commandLine);
  const metadata = encodeBuildMetadata(parts.metadata);
  const others = 4; // kernel, command line, metadata, signature
  if (ramdisks.length === 0 || ramdisks.length > EIF.maxSections - others)
    throw new ToolError('build.too-many-sections', {
      expected: `1 to ${EIF.maxSections - others} ramdisks`,
      actual: `${ramdisks.length}`,
    });
  const image = createHash('sha384');
  const application = createHash('sha384');
  let system: Hash | undefined;
  const writer = await EifFileWriter.create(path);
  try {
    await writer.section('kernel', kernel, (block) => image.update(block));
    await writer.section('cmdline', [commandLine], (block) => image.update(block));
    await writer.section('metadata', [metadata]);
    for (const ramdisk of ramdisks) {
      const isFirst = system === undefined;
      await writer.section('ramdisk', ramdisk, (block) => {
        image.update(block);
        if (!isFirst) application.update(block);
      });
      // PCR1 hashes what PCR0 has hashed so far.
      system ??= image.copy();
    }
    const pcr0 = extend(image);
    const pcrs = new Map([[0, pcr0.toString('hex')]]);
    pcrs.set(1, extend(system as Hash).toString('hex'));
    pcrs.set(2, extend(application).toString('hex'));
    if (signer !== undefined) {
      await writer.section('signature', [signer.sign(new Uint8Array(pcr0))]);
      pcrs.set(8, signingCertificatePcr(signer.certificateDer));
    }
    const { defaultMemoryBytes = DEFAULT_MEMORY_BYTES, defaultCpus = DEFAULT_CPUS } = parts;
    await writer.finish({ architecture, defaultMemoryBytes, defaultCpus });
    return { pcrs };
  } finally {
    await writer.discard();
  }
}

/** SHA-384(48 zero bytes || digest): a PCR that was extended once. */
function extend(hash: Hash): Buffer {
  return createHash('sha384').update(Buffer.alloc(48)).update(hash.digest()).digest();
}

function toBytes(commandLine: string): Uint8Array {
  const bytes = new TextEncoder().encode(commandLine);
  const isBad = /[\0\n\r]/.test(commandLine) || bytes.length > MAX_COMMAND_LINE_BYTES;
  if (isBad || commandLine.trim() === '')
    throw new ToolError('build.command-line', {
      expected: `one line of 1 to ${MAX_COMMAND_LINE_BYTES} bytes`,
      actual: JSON.stringify(commandLine.slice(0, 100)),
    });
  return bytes;
}
