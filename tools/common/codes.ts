import { AMI_CODES } from './ami-codes.js';
import { IMAGE_CODES } from './image-codes.js';
import { KMS_CODES } from './kms-codes.js';

/**
 * The one table of the tools' stable codes: `<area>.<reason>` → what it means and what to do.
 * The newer tools' parts stand in files of their own.
 * Codes are the contract; texts may change.
 */
const TABLE = {
  // Command lines and files, common to all tools.
  'usage.option-invalid': [
    'an option has a value that cannot be used',
    'Run the command with --help for the options and examples.',
  ],
  'usage.option-conflict': [
    'two options do not go together',
    'Run the command with --help for the options and examples.',
  ],
  'file.unreadable': ['a file cannot be read', 'Check the path and the permissions.'],
  'file.unwritable': [
    'a file cannot be written',
    'Check the path, the permissions and the free space.',
  ],
  'file.too-large': ['a file exceeds the size limit', 'Check that this is the right file.'],

  // The way to the TPM: a device or a socket.
  'transport.not-found': [
    'there is no TPM at this address',
    'On EC2, launch the instance from an AMI registered with NitroTPM 2.0 (TpmSupport v2.0, UEFI boot) and load the driver tpm_crb; or name another one with --tpm.',
  ],
  'transport.permission': [
    'this user may not open the TPM',
    'Run as root, or add the user to the group that owns /dev/tpmrm0 (usually tss).',
  ],
  'transport.busy': [
    'another program holds the TPM',
    'Use /dev/tpmrm0, which several programs can share, or stop the other program.',
  ],
  'transport.connect-failed': [
    'the TPM socket does not accept the connection',
    'Check that the TPM (swtpm, tee-simulator) runs and listens at this address.',
  ],
  'transport.timeout': [
    'the TPM did not answer in time',
    'Try again; if it stays silent, see the kernel log for messages of the tpm driver.',
  ],
  'transport.disconnected': [
    'the connection to the TPM ended before the answer',
    'Check that the TPM still runs.',
  ],
  'transport.io': ['reading from or writing to the TPM failed', 'See the kernel log.'],
  'transport.closed': [
    'the TPM connection was already closed',
    'Open a new one; a connection is not used again after a failed exchange.',
  ],

  // What the TPM answered.
  'tpm.response-malformed': [
    'the answer of the TPM cannot be read',
    'The TPM or the connection to it is broken, or something else answers at this address.',
  ],
  'tpm.response-too-large': [
    'the answer of the TPM is larger than any real one',
    'Something else than a TPM answers at this address.',
  ],
  'tpm.response-forged': [
    'the answer of the TPM fails its session check',
    'Somebody between this program and the TPM changed the answer. Do not use it.',
  ],
  'tpm.command-failed': [
    'the TPM refused a command',
    'See the name and the explanation of the response code.',
  ],
  'tpm.auth-failed': [
    'the TPM refused the authorisation',
    'The owner or endorsement hierarchy has a password, or the TPM is locked out (tpm2_getcap properties-variable).',
  ],
  'tpm.retries-exhausted': [
    'the TPM kept asking to try again',
    'It is busy or in self-test; try later.',
  ],
  'tpm.nv-space': [
    'the TPM has no room for the index of 8192 bytes that the request needs',
    'Remove NV indices that are not needed (tpm2_nvreadpublic, tpm2_nvundefine).',
  ],
  'tpm.no-memory': [
    'the TPM has no room for another object or session',
    'Use /dev/tpmrm0, or flush what other programs left behind (tpm2_flushcontext -t -l).',
  ],
  'tpm.unsupported': [
    'this TPM lacks something that attestation needs',
    'NitroTPM offers it; see `tee-attest doctor`.',
  ],
  'tpm.structure-invalid': [
    'a TPM structure cannot be read',
    'The bytes were cut or do not hold the structure named.',
  ],

  // Making an attestation.
  'attest.not-nitrotpm': [
    'this TPM is not a NitroTPM',
    'Only the TPM of an EC2 Nitro instance has AWS attestation documents; for tests use tee-simulator.',
  ],
  'attest.nsm-error': [
    'the Nitro Security Module refused the request',
    'InvalidArgument and InputTooLarge mean the nonce, user data or public key; others are faults of the platform.',
  ],
  'attest.nsm-response-malformed': [
    'the answer of the Nitro Security Module cannot be read',
    'The TPM answered with something else than an attestation document.',
  ],
  'attest.evidence-inconsistent': [
    'the TPM returned evidence that contradicts itself',
    'The answers were changed on the way, or PCRs changed at the same moment; try again.',
  ],
  'attest.pcrs-changing': [
    'PCRs kept changing while they were quoted',
    'Wait until the boot is over (systemd measures units and users at start), then try again.',
  ],
  'attest.cleanup-failed': [
    'something could not be removed from the TPM again',
    'See what was left; tpm2_flushcontext and tpm2_nvundefine remove it, a restart removes handles.',
  ],
  'attest.interrupted': ['the attestation was interrupted', 'Nothing was written.'],

  // The simulator.
  'simulator.option-invalid': [
    'the simulator cannot be set up like this',
    'See docs/simulator.md for the options.',
  ],
  'simulator.listen-failed': [
    'the simulator cannot listen at this address',
    'Choose another port or path, or stop what uses it.',
  ],
  'simulator.fault-invalid': [
    'a fault cannot be understood',
    'The form is <kind>[=<value>][@<command>][#<n>][x<times>], e.g. late=500@Quote or rc=0x922#3.',
  ],

  // Keys that sign manifests and results.
  'key.unusable': [
    'a signing key cannot be used',
    'Pass a private key on P-256, P-384 or Ed25519 as PEM or JWK, or a KMS key of type ECC_NIST_P256 or ECC_NIST_P384 for SIGN_VERIFY.',
  ],
  'key.service-failed': [
    'the key service did not sign',
    'Check the credentials, kms:GetPublicKey and kms:Sign on this key, and the region.',
  ],

  // The verifier service.
  'service.not-found': ['there is nothing at this path', 'See /openapi.json for the paths.'],
  'service.method-not-allowed': [
    'the path does not know this method',
    'See /openapi.json for the methods.',
  ],
  'service.body-too-large': [
    'the request is larger than allowed',
    'A bundle has at most 1 MiB; real ones about 14 KB.',
  ],
  'service.body-invalid': [
    'the request cannot be understood',
    'See /openapi.json for its form: JSON with nonce and evidence.',
  ],
  'service.media-type': [
    'the request is of another media type',
    'Send JSON with content-type application/json.',
  ],
  'service.audience-unknown': [
    'there is no policy for this audience',
    'Name an audience that this verifier serves.',
  ],
  'service.rate-limited': ['too many requests', 'Wait as long as Retry-After says.'],
  'service.overloaded': ['too many requests at once', 'Wait as long as Retry-After says.'],
  'service.timeout': ['the request took too long', 'Ask for a new challenge and try again.'],
  'service.draining': ['this instance is shutting down', 'Another instance takes over.'],
  'service.internal': [
    'the verifier failed',
    'A fault of the service; its log says more under the request id. Nothing was accepted.',
  ],
  'service.listen-failed': [
    'the service cannot listen at this address',
    'Choose another port, or stop what uses it.',
  ],

  // Building and signing enclave images.
  'build.file-unsupported': [
    'the folder holds something that does not belong into an image',
    'Leave out devices, sockets and pipes: the kernel makes /dev itself.',
  ],
  'build.name-invalid': [
    'a name cannot stand in a ramdisk',
    'Rename it: the kernel would skip it or stop reading there.',
  ],
  'build.file-too-large': [
    'a file is too large for a ramdisk',
    'The format has 32 bits for the size; split the file.',
  ],
  'build.entry-duplicate': ['a name stands twice in a ramdisk', 'Leave one of them out.'],
  'build.input-changed': [
    'an input changed while it was read',
    'Build again when nothing writes there any more.',
  ],
  'build.entrypoint-invalid': [
    'the entrypoint or the environment cannot be used',
    'Pass the program and each argument with --entrypoint, and --env NAME=value.',
  ],
  'build.command-line': [
    'the kernel command line cannot be used',
    'Pass one line of text with --cmdline.',
  ],
  'build.kernel-config': [
    'the kernel configuration cannot be read',
    'Pass the .config that the kernel was built with.',
  ],
  'build.section-too-large': [
    'the metadata or the signature of the image would be too large to be read',
    'Use a certificate without text around it, and less metadata of your own.',
  ],
  'build.too-many-sections': [
    'the image would have no ramdisk, or more sections than the format allows',
    'Pass 1 to 28 ramdisks.',
  ],
  'signing.key-invalid': [
    'the private key cannot sign images',
    'Pass PEM (PKCS#8 or SEC 1, not encrypted) with a key on P-256, P-384 or P-521.',
  ],
  'signing.key-mismatch': [
    'the private key does not belong to the certificate',
    'Pass the certificate that was issued for this key.',
  ],

  // Unpacking ramdisks.
  'ramdisk.unsupported': [
    'the ramdisk has a form that is not unpacked',
    'Cpio (newc) is, plain or compressed by gzip. Take the ramdisk itself and its own tool.',
  ],
  'ramdisk.malformed': [
    'the ramdisk cannot be read',
    'It is not a cpio archive (newc), or was damaged.',
  ],
  'ramdisk.truncated': ['the ramdisk ends early', 'The archive was cut.'],
  'ramdisk.too-large': [
    'the ramdisk unpacks to more than allowed',
    'Raise --max-bytes if you trust the image.',
  ],
  'ramdisk.path-escape': [
    'a name in the ramdisk leads out of it, or through something that is no folder',
    'Nothing was written. Do not trust this image.',
  ],
  'ramdisk.duplicate': [
    'a name stands twice in the ramdisk',
    'Which one counts depends on the reader. Do not trust this image.',
  ],
} as const;

/** A stable code of the tools, e.g. `transport.timeout`. */
export type ToolCode =
  | keyof typeof TABLE
  | keyof typeof IMAGE_CODES
  | keyof typeof AMI_CODES
  | keyof typeof KMS_CODES;

type AreaOf<C extends string> = C extends `${infer A}.${string}` ? A : never;

/** The area a code belongs to: what stands before its dot. */
export type ToolArea = AreaOf<ToolCode>;

/** One row of the table. */
export interface ToolCodeFacts {
  readonly code: ToolCode;
  readonly area: ToolArea;
  /** What went wrong, in one clause. */
  readonly meaning: string;
  /** What to do about it. */
  readonly hint: string;
}

/** Every code of the tools with its area, meaning and hint. */
export const TOOL_CODES: Readonly<Record<ToolCode, ToolCodeFacts>> = Object.freeze(
  Object.fromEntries(
    Object.entries({ ...TABLE, ...IMAGE_CODES, ...AMI_CODES, ...KMS_CODES }).map(
      ([code, [meaning, hint]]) => [
        code,
        Object.freeze({ code, area: code.slice(0, code.indexOf('.')), meaning, hint }),
      ],
    ),
  ),
) as Readonly<Record<ToolCode, ToolCodeFacts>>;
