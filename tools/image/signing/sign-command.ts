import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { STUB_PROFILES, type StubProfileName } from 'tee-verify/measure';
import { ProgressLine, writeOutput } from '../../common/command-line.js';
import { signBuild } from './sign-build.js';

interface SignFlags {
  readonly keys: string;
  readonly dbKey?: string;
  readonly dbCert?: string;
  readonly out?: string;
  readonly stubProfile?: StubProfileName;
}

/** `tee-image sign`: signs the image of a build for Secure Boot. */
export function signCommand(): Command {
  return new Command('sign')
    .description('sign the image of a build for Secure Boot')
    .argument('<dir>', 'output folder of tee-image build')
    .requiredOption('--keys <dir>', 'the Secure Boot identity (tee-image keys new)')
    .option('--db-key <file>', 'key of db: PEM, "-" or a PKCS#11 URI (default: db.key in --keys)')
    .option('--db-cert <file>', 'its certificate, PEM or DER (default: db.pem in --keys)')
    .option('--out <dir>', 'folder to make (default: <dir>-signed)')
    .addOption(
      new Option(
        '--stub-profile <version>',
        'what the stub measures, when its own version is not known',
      ).choices(Object.keys(STUB_PROFILES)),
    )
    .addHelpText(
      'after',
      `
Makes, all at once or nothing:
  <name>_<version>.signed.raw  the image with the signed UKI
  signed.efi                   the UKI with its Authenticode signature (by sbsign)
  uefi_data.aws                variable store for RegisterImage: PK, KEK, db and dbx
  manifest.json, tpm_pcr.json  measurements with Secure Boot on
  partitions.json              as of the build, with the new name

The build stays as it is. The key goes to no file: not to the output, and to no temporary one that
has a name. Of --keys only db.key (unless --db-key is given), db.pem and the .esl files are read.
The signature holds the time of signing: signing again gives another image with the same PCRs.

With a PKCS#11 URI, OpenSSL's engine "pkcs11" signs (Debian: libengine-pkcs11-openssl); which
module it loads is said by PKCS11_MODULE_PATH or p11-kit. Other users see the arguments of
programs: give the PIN by pin-source=file:…, not by pin-value.

Examples:
  tee-image sign out --keys payments-keys
  age -d db.key.age | tee-image sign out --keys payments-keys --db-key - --out signed
  tee-image sign out --keys public --db-key 'pkcs11:token=signing;object=db;pin-source=file:/run/pin'

Exit status: 0 signed, 1 refused or failed (the code says why), 2 usage, unreadable or unwritable
file. Programs: sbsign, mkfs.vfat, mtools.`,
    )
    .action(runSign);
}

async function runSign(build: string, flags: SignFlags): Promise<void> {
  const { keys, dbKey, dbCert, out, stubProfile } = flags;
  const progress = new ProgressLine();
  progress.show('signing');
  try {
    const { image, pcrs, notes } = await signBuild({
      build,
      identity: keys,
      // Beside the build, also when it is given as "." or with a slash.
      output: out ?? `${resolve(build)}-signed`,
      ...(dbKey === undefined ? {} : { key: dbKey }),
      ...(dbCert === undefined ? {} : { certificate: dbCert }),
      ...(stubProfile === undefined ? {} : { stubProfile }),
    });
    progress.clear();
    for (const note of notes) process.stderr.write(`note: ${note}\n`);
    const lines = [...pcrs].map(([pcr, value]) => `PCR${pcr}`.padEnd(6).concat(' ', value));
    await writeOutput(undefined, `${image}\n${lines.join('\n')}\n`);
  } finally {
    progress.clear();
  }
}
