import { accessSync, constants } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { onInterrupt, writeOutput } from '../common/command-line.js';
import { readSmallFile } from '../common/file-source.js';
import { ToolError } from '../common/tool-error.js';
import { wholeNumber } from '../common/whole-number.js';
import type { CreatedAmi } from './create-ami.js';
import type { AmiArchitecture } from './register-image.js';
import { type AmiTag, nameFault, tagFault } from './tags.js';
import { UploadBar } from './upload-bar.js';

interface CreateFlags {
  readonly name?: string;
  readonly arch: AmiArchitecture;
  readonly uefiData?: string;
  readonly manifest?: string;
  readonly tag: readonly AmiTag[];
  readonly region?: string;
  readonly endpoint?: string;
  readonly concurrency: number;
  readonly state?: string;
  readonly sendZeros?: true;
  readonly resume?: true;
  readonly timeout: number;
  readonly json?: true;
}

/** More than RegisterImage takes. */
const MAX_UEFI_DATA_BYTES = 128 * 1024;
const MAX_CONCURRENCY = 128;

/** `tee-ami create`: uploads an image and registers it. */
export function createCommand(): Command {
  return new Command('create')
    .description('upload a raw disk image as EBS snapshot and register it as attestable AMI')
    .argument('<image>', 'the raw disk image')
    .option('--name <text>', "name of the AMI (default: the image's file name)", parseName)
    .addOption(
      new Option('--arch <architecture>', 'processor')
        .choices(['x86_64', 'arm64'])
        .default('x86_64'),
    )
    .option('--uefi-data <file>', 'UEFI variables for Secure Boot (uefi_data.aws)')
    .option('--manifest <file>', 'reference manifest: its SHA-256 becomes a tag')
    .option('--tag <key=value>', 'tag for snapshot and AMI; repeatable', addTag, [])
    .option('--region <name>', 'AWS region (default: AWS_REGION or the profile)')
    .option(
      '--endpoint <url>',
      'EBS direct and EC2 at this address, e.g. a local emulator',
      parseUrl,
    )
    .option('--concurrency <n>', 'blocks under way at once', wholeNumber(1, MAX_CONCURRENCY), 64)
    .option('--state <file>', 'where to note what was uploaded (default: beside the image)')
    .option('--send-zeros', 'send all blocks of zeros, not only those that verified data needs')
    .option('--resume', 'go on with an upload that was interrupted')
    .option('--timeout <minutes>', 'how long to wait for AWS at the end', wholeNumber(1, 1440), 60)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Only blocks with data are sent, each with its SHA-256; AWS checks every one, and at the end the
digest over all of them. A block that was not sent reads back as noise, not as zeros, from an
encrypted volume; so zeros are sent, too, in dm-verity's partitions (data and hashes of root and
usr, by their types) and in the part of the EFI system partition that is in use. When other
partitions rely on zeros (a file system that is written, swap), pass --send-zeros.

The AMI boots with UEFI and has NitroTPM 2.0, ENA and IMDSv2. Credentials come from the environment,
a profile or the instance, as for every AWS SDK; docs/ami.md lists the permissions.

Ctrl-C stops at once; what was acknowledged is in the state file (<image>.tee-ami), and --resume
goes on from there as long as the image is unchanged. AWS keeps an unfinished snapshot for a day.
The state file is removed when the AMI is there.

Examples:
  tee-ami create payments.raw --name payments-7 --manifest payments.manifest.json
  tee-ami create payments.raw --name payments-7 --uefi-data uefi_data.aws --arch arm64
  tee-ami create payments.raw --name payments-7 --resume
  tee-ami create payments.raw --json --tag team=pay | jq -r .imageId

Exit status: 0 registered, 1 failed (the code says why, the hint what is left in the account),
2 usage or unreadable file, 130 interrupted.`,
    )
    .action(runCreate);
}

async function runCreate(image: string, flags: CreateFlags): Promise<void> {
  const interrupt = new AbortController();
  const stopListening = onInterrupt(() => interrupt.abort());
  const bar = new UploadBar();
  try {
    const uefiData =
      flags.uefiData === undefined
        ? undefined
        : new TextDecoder().decode(await readSmallFile(flags.uefiData, MAX_UEFI_DATA_BYTES));
    // The AWS SDK takes half a second to load, which --help need not wait for.
    const { createAmi } = await import('./create-ami.js');
    const made = await createAmi({
      image,
      uefiData,
      name: flags.name ?? defaultName(image),
      architecture: flags.arch,
      manifest: flags.manifest,
      tags: flags.tag,
      region: flags.region,
      endpoint: flags.endpoint,
      concurrency: flags.concurrency,
      stateFile: flags.state ?? defaultStateFile(image),
      sendZeros: flags.sendZeros === true,
      resume: flags.resume === true,
      timeoutMs: flags.timeout * 60_000,
      signal: interrupt.signal,
      onProgress: (progress) => bar.show(progress),
    });
    bar.clear();
    await writeOutput(
      undefined,
      flags.json === true ? `${JSON.stringify(made, null, 2)}\n` : toText(made),
    );
  } finally {
    bar.clear();
    stopListening();
  }
}

function toText(made: CreatedAmi): string {
  const { imageId, snapshotId, region, name, manifestSha256, blocks, zeroBlocks } = made;
  const lines = [
    `AMI       ${imageId}`,
    `snapshot  ${snapshotId}`,
    `region    ${region}`,
    `name      ${name}`,
    `blocks    ${blocks}, ${zeroBlocks.sent} of them zeros; ${zeroBlocks.leftOut} of zeros left out${zeroBlocks.chosenBy === 'no-partition-table' && zeroBlocks.leftOut > 0 ? ' (no partition table to choose by)' : ''}`,
    ...(manifestSha256 === undefined ? [] : [`manifest  ${manifestSha256}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function defaultName(image: string): string {
  const name = basename(image, extname(image));
  if (nameFault(name) === undefined) return name;
  throw new ToolError('usage.option-invalid', {
    expected: '--name',
    actual: `a file name that cannot name an AMI: ${JSON.stringify(name)}`,
  });
}

/** Beside the image, so that it is found again; images in a read-only place have theirs here. */
function defaultStateFile(image: string): string {
  const path = `${resolve(image)}.tee-ami`;
  try {
    accessSync(dirname(path), constants.W_OK);
    return path;
  } catch {
    return join(process.cwd(), basename(path));
  }
}

function parseName(text: string): string {
  const fault = nameFault(text);
  if (fault !== undefined) throw new InvalidArgumentError(fault);
  return text;
}

function addTag(text: string, before: readonly AmiTag[]): readonly AmiTag[] {
  const at = text.indexOf('=');
  const [key, value] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)];
  const tags = [...before, { key, value }];
  const fault = tagFault(tags);
  if (fault !== undefined) throw new InvalidArgumentError(fault);
  return tags;
}

/** An http or https address of the command line. */
export function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new InvalidArgumentError('Expected an address such as http://127.0.0.1:4599.');
  // It stands in the state file and in messages.
  if (url.username !== '' || url.password !== '')
    throw new InvalidArgumentError('Expected an address without user name and password.');
  return text.replace(/\/+$/, '');
}
