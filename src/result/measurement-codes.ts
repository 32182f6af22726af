import { type CodeFacts, tabulate } from './codes.js';

/** The part of the one table (codes.ts) that belongs to measuring images and reading event logs. */
const TABLE = {
  'eventlog.empty': [
    'the event log is empty',
    'Read /sys/kernel/security/tpm0/binary_bios_measurements as root, on a machine booted by UEFI with a TPM.',
  ],
  'eventlog.too-large': [
    'the event log exceeds the size limit',
    'Real logs have 5 to 100 KB. Check that this is an event log.',
  ],
  'eventlog.truncated': [
    'the event log ends in the middle of an event',
    'The log was cut, or is not a TCG event log; read it again in one piece.',
  ],
  'eventlog.header-invalid': [
    'the header of the event log cannot be understood',
    'Expected TCG_EfiSpecIDEvent (TCG PC Client Platform Firmware Profile, 10.2.1).',
  ],
  'eventlog.pcr-index': [
    'an event names a PCR that does not exist',
    'PCRs are 0 to 23; this is not a TCG event log, or it was damaged.',
  ],
  'eventlog.digest-set': [
    'an event has no digest, the same one twice, or one of a bank that the header does not declare',
    'The log was damaged or forged; firmware writes one digest for each active bank.',
  ],
  'eventlog.startup-locality': [
    'the StartupLocality event is malformed, repeated, or comes after PCR0 was extended',
    'See the TCG PC Client Platform Firmware Profile, 10.4.5.3.',
  ],
  'eventlog.limit-exceeded': [
    'the event log has too many events or banks',
    'Real logs have fewer than a thousand events and at most five banks.',
  ],
  'eventlog.bank-missing': [
    'the event log has no digests of this bank',
    'The firmware did not log this bank, so its PCRs cannot be explained by this log.',
  ],
  'eventlog.pcr-unexplained': [
    'replaying the event log does not give the signed PCR',
    'The log is incomplete, edited, or from another boot. The signed value counts, never the log.',
  ],
  'esl.too-large': [
    'the signature list exceeds the size limit',
    'PK, KEK, db and dbx have at most a few dozen KB. Check that this is an EFI signature list.',
  ],
  'esl.truncated': [
    'the signature list ends in the middle of an entry',
    'Pass the bare EFI_SIGNATURE_LIST: no authentication header (.auth), and not the four attribute bytes that efivarfs puts first.',
  ],
  'esl.malformed': [
    'the signature list is not made of whole entries',
    'Pass the bare EFI_SIGNATURE_LIST (UEFI 2.10, 32.4.1): no authentication header (.auth), and not the four attribute bytes that efivarfs puts first.',
  ],
  'esl.limit-exceeded': [
    'the signature list has too many entries',
    'Real lists have fewer than a thousand entries.',
  ],
  'esl.pk-missing': [
    'KEK, db or dbx is given without a PK',
    'Secure Boot is on only when a platform key is enrolled: pass PK too, or none of the four.',
  ],
  'esl.pk-invalid': [
    'PK is not one certificate',
    'A platform key is a list with exactly one X.509 entry; leave PK out when Secure Boot is off.',
  ],
  'pe.not-pe': [
    'the file is not a PE image',
    'Pass an EFI executable (a UKI, an addon or a boot loader); it starts with MZ and has a PE header.',
  ],
  'pe.malformed': [
    'a header of the PE image is inconsistent',
    'Firmware would refuse to load this file, or load something else than tools see.',
  ],
  'pe.limit-exceeded': [
    'the PE image has too many sections or sizes beyond the limits',
    'UKIs have about ten sections. A section may be at most 16 MiB larger in memory than in the file.',
  ],
  'pe.section-range': [
    'a section of the PE image lies outside the file or outside the image',
    'The file was cut or made by a broken tool.',
  ],
  'pe.section-overlap': [
    'sections of the PE image overlap',
    'Two readers could hash two different images; firmware and tools disagree about such files.',
  ],
  'pe.section-gap': [
    'bytes lie between the sections of the PE image',
    'Firmware and signing tools disagree about the Authenticode digest of such a file: build it without gaps.',
  ],
  'pe.relocation': [
    'the base relocations of the PE image cannot be read, or change what the stub measures',
    'A measurement would depend on where firmware loads the image: build it with a linker\u2019s own relocations only.',
  ],
  'pe.certificate-table': [
    'the certificate table is not at the end of the PE image, or is malformed',
    'Sign the file again with sbsign; nothing may follow the signatures.',
  ],
  'pe.signature-malformed': [
    'the Authenticode signature cannot be read',
    'Sign the file again with sbsign; the signature is PKCS#7 SignedData in DER.',
  ],
  'pe.signature-mismatch': [
    'the Authenticode signature is not one of this image',
    'The image was changed after it was signed, or the signature is damaged: sign it again.',
  ],
  'pe.not-signed': [
    'the PE image is not signed',
    'With Secure Boot on, firmware only loads signed images. Images allowed by their hash in db are not predicted.',
  ],
  'uki.not-a-uki': [
    'none of the images is a unified kernel image',
    'A UKI has a .linux section. Pass the UKI itself, not the bare kernel.',
  ],
  'uki.several': [
    'more than one of the images is a unified kernel image',
    'One boot runs one UKI: measure each UKI on its own.',
  ],
  'uki.stub-version': [
    'the version of the stub cannot be read',
    'The .sdmagic section is missing or unknown. If you know what the stub measures, choose a stub profile.',
  ],
  'uki.stub-unknown': [
    'it is not known what this version of the stub measures',
    'Known versions are listed in docs/measurements.md. If you know that yours behaves like one of them, choose its stub profile, and check with a boot.',
  ],
  'uki.section-duplicate': [
    'the UKI has the same section twice',
    'Which one is measured depends on the stub; build the UKI with each section once.',
  ],
  'uki.section-name': [
    'the name of a section starts with the name of another one',
    'Old stubs compare the beginning only and would take one for the other: rename the section.',
  ],
  'uki.not-predictable': [
    'a measurement depends on the machine, or cannot be told from the image',
    'See docs/measurements.md for what cannot be predicted; leave this PCR or section out.',
  ],
  'uki.addon-unsupported': [
    'an image after the UKI is not an addon that this stub measures',
    'Addons are PE files with a .cmdline section and no .linux; stubs before version 254 load none.',
  ],
  'uki.command-line': [
    'the command line cannot be predicted',
    'Use printable ASCII, not empty, not starting with @ (which selects a profile of the UKI).',
  ],
  'uki.signer-not-in-db': [
    'no certificate of db leads to the signer of the image',
    'The firmware would refuse the image. Check that db and the image belong together, and that the signature carries the certificates between them.',
  ],
  'uki.revoked-by-dbx': [
    'dbx forbids the image or its signer',
    'The firmware would refuse to boot it; sign with another key, or pass the right dbx.',
  ],
  'pe.truncated': ['the PE image ends early', 'The file was cut; copy it again.'],
  'eif.not-eif': [
    'the file is not an enclave image',
    'Pass an EIF, as tee-eif build and nitro-cli build-enclave write it.',
  ],
  'eif.truncated': ['the enclave image ends early', 'The file was cut; copy it again.'],
  'eif.version-unsupported': [
    'the enclave image has a version that is not known',
    'Version 4 is read: build the image again with a current tool.',
  ],
  'eif.header-invalid': [
    'a field of the header has a value that means nothing',
    'The file was damaged, or made by a broken tool.',
  ],
  'eif.section-count': [
    'the enclave image has too few or too many sections',
    'An EIF has 2 to 32 sections.',
  ],
  'eif.section-size': [
    'the table and a section disagree about its size',
    'Two readers would measure two different images: build the image again.',
  ],
  'eif.section-overlap': [
    'a section starts before the one before it ends',
    'Two readers would measure two different images: build the image again.',
  ],
  'eif.section-gap': [
    'bytes lie between the sections or after the last one',
    'Nothing measures them: build the image again.',
  ],
  'eif.section-type': [
    'a section has a type or flags that are not known',
    'Types are 1 (kernel) to 5 (metadata), flags are 0.',
  ],
  'eif.section-missing': [
    'a section that every enclave image has is missing',
    'An EIF has exactly one kernel, one cmdline and one metadata section.',
  ],
  'eif.section-duplicate': [
    'a section that may stand only once is there several times',
    'Which one runs would depend on the reader: build the image again.',
  ],
  'eif.section-order': [
    'a ramdisk stands before the kernel',
    'Ramdisks come after the kernel: build the image again.',
  ],
  'eif.limit-exceeded': [
    'a section of the enclave image exceeds the size limit',
    'A cmdline and a signature have at most 64 KiB, metadata at most 1 MiB.',
  ],
  'eif.crc-mismatch': [
    'the checksum in the header is not that of the file',
    'The file was damaged or edited; copy it again or build it again.',
  ],
  'eif.metadata-malformed': [
    'the metadata of the enclave image cannot be read',
    'It is a JSON object. No PCR covers it.',
  ],
  'eif.signature-malformed': [
    'the signature of the enclave image cannot be read',
    'Sign the image again with tee-eif sign. See docs/eif.md for the form.',
  ],
  'eif.signature-algorithm': [
    'the enclave image is signed with an algorithm that does not fit',
    'ES256, ES384 and ES512 are known, and the curve of the key decides which.',
  ],
  'eif.signature-pcr0': [
    'the signature is one of another image',
    'The signed PCR0 is not that of this image: sign it again after every change.',
  ],
  'eif.signature-invalid': [
    'the signature of the enclave image does not verify',
    'It was not made by the key of the certificate beside it. Do not run this image as signed.',
  ],
  'eif.certificate-malformed': [
    'the signing certificate cannot be read',
    'Pass one X.509 certificate, as PEM (BEGIN CERTIFICATE) or DER.',
  ],
  'eif.role-arn-invalid': [
    'this is not the ARN of an IAM role',
    'PCR3 needs the role itself, arn:aws:iam::<account>:role/<name>, not an instance profile or an assumed role.',
  ],
  'eif.instance-id-invalid': [
    'this is not the ID of an EC2 instance',
    'PCR4 needs the ID of the parent instance, i- and 17 hex digits.',
  ],
} as const;

/** A code of measuring, e.g. `pe.truncated`. */
export type MeasurementCode = keyof typeof TABLE;

/** Every code of measuring with its step, meaning and hint. */
export const MEASUREMENT_CODES: Readonly<Record<MeasurementCode, CodeFacts>> = tabulate(TABLE);
