import { Command, Option } from 'commander';
import {
  printable,
  type SecureBootVariables,
  STUB_PROFILES,
  type StubProfileName,
} from 'tee-verify/measure';
import { EXIT, ProgressLine, writeOutput } from '../../common/command-line.js';
import { openFile } from '../../common/file-source.js';
import { readPlainManifest } from '../read-plain-manifest.js';
import { bootVariables, readIdentity } from '../signing/secure-boot-identity.js';
import type { CheckResult } from './check-list.js';
import { type ImageVerification, verifyImage } from './verify-image.js';

interface VerifyFlags {
  readonly manifest: string;
  readonly secureBoot?: string;
  readonly stubProfile?: StubProfileName;
  readonly json?: boolean;
}

const MARKS: Readonly<Record<CheckResult['result'], string>> = {
  passed: 'ok      ',
  failed: 'FAILED  ',
  'not run': 'not run ',
};

/** `tee-image verify`: recomputes everything from a raw image. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description('check that a raw image is what its manifest says, from its bytes alone')
    .argument('<raw>', 'the raw image')
    .requiredOption('--manifest <file>', 'the manifest: of this project, or of AWS')
    .option('--secure-boot <dir>', 'folder with PK.esl, KEK.esl, db.esl, dbx.esl of a signed image')
    .addOption(
      new Option(
        '--stub-profile <version>',
        'what the stub measures, when its own version is not known',
      ).choices(Object.keys(STUB_PROFILES)),
    )
    .option('--json', 'write JSON')
    .addHelpText(
      'after',
      `
Checks: partition table (strictly, nothing else on the disk), EFI system partition (exactly one
program), UKI, root hash in its command line, dm-verity recomputed over the data, and the PCRs that
a boot will leave. No other program is needed.

The manifest is compared, not judged. Of a signed one, check the signature with tee-image manifest
verify, and pass here what was signed.

Examples:
  tee-image verify out/payments_7.raw --manifest out/manifest.json
  tee-image verify out-signed/payments_7.signed.raw --manifest out-signed/manifest.json --secure-boot keys/

Exit status: 0 everything holds, 1 something does not (see the code), 2 usage, unreadable file.`,
    )
    .action(runVerify);
}

async function runVerify(path: string, flags: VerifyFlags): Promise<void> {
  const manifest = await readPlainManifest(flags.manifest);
  const secureBoot = await readVariables(flags.secureBoot);
  const progress = new ProgressLine();
  const raw = await openFile(path);
  try {
    const verification = await verifyImage(raw, {
      ...{ manifest, secureBoot },
      ...(flags.stubProfile === undefined ? {} : { stubProfile: flags.stubProfile }),
      onProgress: (check) => progress.show(check),
    });
    progress.clear();
    if (!verification.passed) process.exitCode = EXIT.failed;
    await writeOutput(undefined, flags.json ? toJson(path, verification) : toText(verification));
  } finally {
    progress.clear();
    await raw.close();
  }
}

/** Without a folder, Secure Boot is off. */
async function readVariables(folder: string | undefined): Promise<SecureBootVariables> {
  return folder === undefined ? {} : bootVariables(await readIdentity(folder));
}

function toText({ checks, passed }: ImageVerification): string {
  const lines = checks.flatMap(({ check, result, detail, code, hint }) => {
    const line = `${MARKS[result]}${check}: ${printable(detail)}`;
    if (code === undefined) return [line];
    return [line, `          ${code}. Hint: ${hint}`];
  });
  lines.push(passed ? 'the image is what the manifest says' : 'NOT VERIFIED');
  return `${lines.join('\n')}\n`;
}

function toJson(image: string, { checks, passed, pcrs }: ImageVerification): string {
  const report = { image, passed, checks, ...(pcrs && { pcrs: Object.fromEntries(pcrs) }) };
  return `${JSON.stringify(report, null, 2)}\n`;
}
