import { dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { type EifArchitecture, formatEnclaveMeasurements } from 'tee-verify/measure';
import { writeOutput } from '../common/command-line.js';
import { type FileSource, openFile, readSmallFile } from '../common/file-source.js';
import { isObject, type JsonObject } from '../common/json-object.js';
import { ToolError } from '../common/tool-error.js';
import packageJson from '../package.json' with { type: 'json' };
import { buildEif } from './build-eif.js';
import type { BuildMetadata } from './build-metadata.js';
import {
  applicationEntries,
  bootstrapEntries,
  type Compression,
  ramdiskPieces,
} from './ramdisks.js';
import { type Pieces, readPieces } from './read-pieces.js';
import { createEifSigner, type EifSigner } from './sign-pcr0.js';

interface BuildFlags {
  readonly kernel: string;
  readonly kernelConfig?: string;
  readonly cmdline: string;
  readonly ramdisk: readonly string[];
  readonly root?: string;
  readonly entrypoint: readonly string[];
  readonly env: readonly string[];
  readonly init?: string;
  readonly nsmKo?: string;
  readonly keepModes?: boolean;
  /** False with `--no-hard-links`. */
  readonly hardLinks: boolean;
  readonly compress: Compression;
  readonly arch: EifArchitecture;
  readonly name?: string;
  readonly version?: string;
  readonly metadata?: string;
  readonly privateKey?: string;
  readonly certificate?: string;
  readonly pcrFile?: string;
  readonly out: string;
}

const MAX_TEXT_BYTES = 1024 * 1024;
const MAX_INIT_BYTES = 256 * 1024 * 1024;

const list = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/** `tee-eif build`: makes an enclave image. */
export function buildCommand(): Command {
  return new Command('build')
    .description('build an enclave image; the same inputs give the same bytes on every machine')
    .requiredOption('--kernel <file>', 'bzImage (x86_64) or Image (aarch64)')
    .option('--kernel-config <file>', 'its .config: names the kernel in the metadata')
    .requiredOption('--cmdline <text>', 'command line of the kernel')
    .option('--ramdisk <file>', 'a ramdisk as it is; repeat it for several, in order', list, [])
    .option('--root <dir>', 'make the application ramdisk from this folder')
    .option('--entrypoint <text>', 'program in --root; repeat it for arguments', list, [])
    .option('--env <name=value>', 'environment variable; repeat it for several', list, [])
    .option('--init <file>', 'make the bootstrap ramdisk with this init')
    .option('--nsm-ko <file>', 'kernel module of the Nitro Security Module, for --init')
    .option('--keep-modes', 'keep permission bits (default: 755 and 644, whatever the umask was)')
    .option('--no-hard-links', 'store a file with several names once for each of them')
    .addOption(
      new Option('--compress <how>', 'how ramdisks made here are stored')
        .choices(['none', 'gzip'])
        .default('none'),
    )
    .addOption(
      new Option('--arch <name>', 'processor the image is for')
        .choices(['x86_64', 'aarch64'])
        .default('x86_64'),
    )
    .option('--name <text>', 'ImageName of the metadata (default: enclave)')
    .option('--version <text>', 'ImageVersion of the metadata (default: 1.0)')
    .option('--metadata <json>', 'file with a JSON object: CustomMetadata')
    .option('--private-key <pem>', 'sign the image: key on P-256, P-384 or P-521')
    .option('--certificate <pem>', 'certificate of the key; makes PCR8')
    .option('--pcr-file <file>', 'where the PCRs go (default: pcr.json beside the image)')
    .requiredOption('--out <eif>', 'the image')
    .addHelpText(
      'after',
      `
Ramdisks, in this order: each --ramdisk as it is; the bootstrap ramdisk when --init is given (/init,
/nsm.ko); the application ramdisk when --root is given (/cmd, /env, /rootfs). The first one decides
PCR1, the others PCR2. The PCRs are printed as JSON, and written to --pcr-file.

Examples:
  tee-eif build --kernel bzImage --kernel-config bzImage.config --cmdline "$(cat cmdline)" \\
    --init init --nsm-ko nsm.ko --root ./rootfs --entrypoint /bin/app --env LOG=info \\
    --name payments --version 7 --out payments.eif
  tee-eif build --kernel Image --cmdline 'reboot=k panic=30' --arch aarch64 \\
    --ramdisk bootstrap.cpio --ramdisk app.cpio.gz --out app.eif
  tee-eif build … --private-key key.pem --certificate cert.pem --out signed.eif

Exit status: 0 built, 1 the image cannot be built (the code says why), 2 usage, or a file that cannot
be read or written.`,
    )
    .action(runBuild);
}

async function runBuild(flags: BuildFlags): Promise<void> {
  checkFlags(flags);
  const open: FileSource[] = [];
  const pieces = async (path: string): Promise<Pieces> => {
    const source = await openFile(path);
    open.push(source);
    return readPieces({ path: source.path, sizeBytes: source.size });
  };
  try {
    const signer = await readSigner(flags.privateKey, flags.certificate);
    const kernel = await pieces(flags.kernel);
    const ramdisks: Pieces[] = [];
    for (const path of flags.ramdisk) ramdisks.push(await pieces(path));
    ramdisks.push(...(await madeRamdisks(flags)));
    const { pcrs } = await buildEif(flags.out, {
      architecture: flags.arch,
      kernel,
      commandLine: flags.cmdline,
      ramdisks,
      metadata: await readMetadata(flags),
      ...(signer !== undefined && { signer }),
    });
    const text = formatEnclaveMeasurements(pcrs);
    await writeOutput(flags.pcrFile ?? join(dirname(flags.out), 'pcr.json'), text);
    if (flags.pcrFile !== '-') await writeOutput(undefined, text);
  } finally {
    for (const source of open) await source.close();
  }
}

function checkFlags(flags: BuildFlags): void {
  const conflict = (actual: string): never => {
    throw new ToolError('usage.option-conflict', { actual });
  };
  const { root, init, nsmKo, ramdisk, entrypoint, env } = flags;
  if (flags.out === '-') conflict('--out -: an image is written to a file');
  if (root === undefined && ramdisk.length === 0) conflict('neither --ramdisk nor --root');
  if (root === undefined && entrypoint.length + env.length > 0)
    conflict('--entrypoint or --env without --root');
  if (root !== undefined && entrypoint.length === 0) conflict('--root without --entrypoint');
  if (root !== undefined && init === undefined && ramdisk.length === 0)
    conflict('--root without a bootstrap ramdisk: pass --init, or --ramdisk with one');
  if (nsmKo !== undefined && init === undefined) conflict('--nsm-ko without --init');
  const files = [flags.kernel, ...ramdisk, init, nsmKo, flags.kernelConfig, flags.metadata];
  const inputs = [...files, flags.privateKey, flags.certificate];
  if (inputs.filter((path) => path === '-').length > 1) conflict('standard input twice');
}

async function madeRamdisks(flags: BuildFlags): Promise<Pieces[]> {
  const { init, nsmKo, root, entrypoint, env, keepModes = false, compress } = flags;
  const tree = { keepModes, copyHardLinks: !flags.hardLinks };
  const made: Pieces[] = [];
  if (init !== undefined)
    made.push(
      ramdiskPieces(
        bootstrapEntries({
          init: await readSmallFile(init, MAX_INIT_BYTES),
          ...(nsmKo !== undefined && { nsmKo: await readSmallFile(nsmKo, MAX_INIT_BYTES) }),
        }),
        compress,
      ),
    );
  if (root !== undefined)
    made.push(ramdiskPieces(applicationEntries({ root, entrypoint, env, ...tree }), compress));
  return made;
}

async function readMetadata(flags: BuildFlags): Promise<BuildMetadata> {
  const { name, version, kernelConfig, metadata } = flags;
  return {
    ...(name !== undefined && { name }),
    ...(version !== undefined && { version }),
    toolVersion: packageJson.version,
    ...(kernelConfig !== undefined && { kernelConfig: await readText(kernelConfig) }),
    ...(metadata !== undefined && { custom: parseObject(metadata, await readText(metadata)) }),
  };
}

function parseObject(path: string, text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw new ToolError('usage.option-invalid', {
    expected: `--metadata ${path}: a file with a JSON object`,
    actual: 'something else',
  });
}

/** The signer of `--private-key` and `--certificate`, which go together. */
export async function readSigner(
  privateKey: string | undefined,
  certificate: string | undefined,
): Promise<EifSigner | undefined> {
  if (privateKey === undefined && certificate === undefined) return undefined;
  if (privateKey === undefined || certificate === undefined)
    throw new ToolError('usage.option-conflict', {
      actual: '--private-key and --certificate go together',
    });
  return createEifSigner(await readText(privateKey), await readText(certificate));
}

async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readSmallFile(path, MAX_TEXT_BYTES));
}
