import { basename } from 'node:path';
import { Command, Option } from 'commander';
import {
  type BootImage,
  formatAwsMeasurements,
  type MeasureOptions,
  measureUki,
  PREDICTABLE_PCRS,
  type SecureBootVariables,
  STUB_PROFILES,
  type StubProfileName,
  toMeasurementManifest,
  type UkiMeasurement,
} from 'tee-verify/measure';
import { writeOutput } from '../common/command-line.js';
import {
  createNodeHasher,
  type FileSource,
  openFile,
  readSmallFile,
} from '../common/file-source.js';
import { runDigestJobsInParallel } from '../common/parallel-digest-jobs.js';
import { ToolError } from '../common/tool-error.js';
import { parsePcrsAmong } from './parse-pcr-list.js';

interface MeasureFlags {
  readonly pk?: string;
  readonly kek?: string;
  readonly db?: string;
  readonly dbx?: string;
  readonly stubProfile?: StubProfileName;
  readonly cmdlineOverride?: string;
  readonly pcrs?: readonly number[];
  readonly format: 'manifest' | 'aws' | 'table';
  readonly out?: string;
  readonly name?: string;
  readonly imageVersion?: string;
  readonly label?: string;
}

const MAX_SIGNATURE_LIST_BYTES = 1024 * 1024;
/** What AWS's tool computes. */
const AWS_PCRS: readonly number[] = [4, 7, 12];

/** `tee-image measure`: predicts the PCRs of a boot. */
export function measureCommand(): Command {
  return new Command('measure')
    .description('predict the PCRs that a boot of a UKI leaves in the TPM')
    .argument('<image...>', 'the UKI; boot loaders before it and addons behind it, in load order')
    .option('--pk <esl>', 'platform key (EFI signature list); Secure Boot is on when it is given')
    .option('--kek <esl>', 'key exchange keys (EFI signature list)')
    .option('--db <esl>', 'allowed signers (EFI signature list)')
    .option('--dbx <esl>', 'forbidden signers and images (EFI signature list)')
    .addOption(
      new Option(
        '--stub-profile <version>',
        'what the stub measures, when its own version is not known',
      ).choices(Object.keys(STUB_PROFILES)),
    )
    .option('--cmdline-override <text>', 'a kernel command line passed from outside')
    .option(
      '--pcrs <list>',
      'which PCRs, e.g. 4,7,12 (default: all; for aws 4,7,12)',
      parsePcrsAmong(PREDICTABLE_PCRS),
    )
    .addOption(
      new Option('--format <format>', 'what to write')
        .choices(['manifest', 'aws', 'table'])
        .default('manifest'),
    )
    .option('--out <file>', 'write there instead of to standard output')
    .option('--name <text>', "name of the image in the manifest (default: the UKI's file name)")
    .option('--image-version <text>', 'version of the image in the manifest')
    .option('--label <text>', 'label of the measurement set (default: the name)')
    .addHelpText(
      'after',
      `
Formats:
  manifest  a reference manifest with every measured event, for tee-verify --manifest
  aws       what AWS's nitro-tpm-pcr-compute prints, byte for byte
  table     for people

Examples:
  tee-image measure payments.efi --out payments.manifest.json
  tee-image measure payments.efi --format aws > pcr_measurements.json
  tee-image measure signed.efi --pk PK.esl --kek KEK.esl --db db.esl --dbx dbx.esl
  tee-image measure payments.efi --cmdline-override 'console=ttyS0 debug' --format table

Exit status: 0 measured, 1 the image cannot be measured (the code says why), 2 usage,
unreadable or unwritable file.`,
    )
    .action(runMeasure);
}

async function runMeasure(paths: readonly string[], flags: MeasureFlags): Promise<void> {
  if (paths.filter((path) => path === '-').length > 1)
    throw new ToolError('usage.option-conflict', { actual: 'standard input twice' });
  const files: FileSource[] = [];
  try {
    const images: BootImage[] = [];
    for (const path of paths) {
      const source = await openFile(path);
      files.push(source);
      images.push({ name: path === '-' ? 'standard input' : basename(path), source });
    }
    const measurement = await measureUki(images, await toOptions(flags));
    for (const note of measurement.notes) process.stderr.write(`note: ${note}\n`);
    await writeOutput(flags.out, format(measurement, flags));
  } finally {
    for (const file of files) await file.close();
  }
}

async function toOptions(flags: MeasureFlags): Promise<MeasureOptions> {
  const { stubProfile, cmdlineOverride } = flags;
  const pcrs = flags.pcrs ?? (flags.format === 'aws' ? AWS_PCRS : undefined);
  return {
    createHasher: createNodeHasher,
    runDigestJobs: runDigestJobsInParallel,
    secureBoot: await readVariables(flags),
    ...(stubProfile === undefined ? {} : { stubProfile }),
    ...(cmdlineOverride === undefined ? {} : { commandLineOverride: cmdlineOverride }),
    ...(pcrs === undefined ? {} : { pcrs }),
  };
}

async function readVariables(flags: MeasureFlags): Promise<SecureBootVariables> {
  const variables: { -readonly [K in keyof SecureBootVariables]: Uint8Array } = {};
  for (const name of ['pk', 'kek', 'db', 'dbx'] as const) {
    const path = flags[name];
    if (path !== undefined) variables[name] = await readSmallFile(path, MAX_SIGNATURE_LIST_BYTES);
  }
  return variables;
}

function format(
  measurement: UkiMeasurement,
  { format: kind, name, imageVersion, label }: MeasureFlags,
): string {
  if (kind === 'aws') return formatAwsMeasurements(measurement.pcrs);
  if (kind === 'table') return formatTable(measurement);
  const manifest = toMeasurementManifest(measurement, {
    name: name ?? measurement.ukiName.replace(/\.efi$/i, ''),
    ...(imageVersion === undefined ? {} : { imageVersion }),
    ...(label === undefined ? {} : { label }),
  });
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

function formatTable(measurement: UkiMeasurement): string {
  const stub = measurement.stubVersion ?? 'a stub without version';
  const lines = [
    `${stub}, measured as profile ${measurement.stubProfile}; Secure Boot ${measurement.secureBoot ? 'on' : 'off'}`,
  ];
  for (const [pcr, value] of measurement.pcrs) {
    lines.push('', `PCR${pcr}  ${value}`);
    const events = measurement.events.filter((event) => event.pcr === pcr);
    if (events.length === 0) lines.push('  nothing is measured');
    for (const { digest, description } of events)
      lines.push(`  ${digest.slice(0, 16)}\u2026  ${description}`);
  }
  return `${lines.join('\n')}\n`;
}
