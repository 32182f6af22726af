import { sha384 } from '@noble/hashes/sha2.js';
import { asciiBytes, concatBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { readSigningCertificate } from './signing-certificate.js';

/** `arn:<partition>:iam::<account>:role/<path and name>` (IAM user guide, "IAM identifiers"). */
const ROLE_ARN = /^arn:aws[a-z-]*:iam::\d{12}:role\/[\x21-\x7e]{1,575}$/;
const INSTANCE_ID = /^i-(?:[0-9a-f]{8}|[0-9a-f]{17})$/;

/**
 * PCR3 of an enclave whose parent instance has this IAM role, as 96 hex digits: SHA-384(48 zero
 * bytes || ARN). The ARN is the role's (`arn:aws:iam::123456789012:role/name`), not that of an
 * instance profile or a session. Throws `eif.role-arn-invalid`.
 *
 * Source: AWS Nitro Enclaves user guide, "Where to find an enclave's measurements".
 */
export function parentRolePcr(arn: string): string {
  if (!ROLE_ARN.test(arn))
    reject(
      MEASUREMENT_CODES['eif.role-arn-invalid'],
      'arn:aws:iam::<12 digits>:role/<name>',
      JSON.stringify(arn.slice(0, 200)),
    );
  return extendFromZero(asciiBytes(arn));
}

/**
 * PCR4 of an enclave whose parent is this EC2 instance (`i-` and 8 or 17 hex digits), as 96 hex
 * digits: SHA-384(48 zero bytes || instance ID). Throws `eif.instance-id-invalid`.
 *
 * Source: AWS Nitro Enclaves user guide, "Where to find an enclave's measurements".
 */
export function parentInstancePcr(instanceId: string): string {
  if (!INSTANCE_ID.test(instanceId))
    reject(
      MEASUREMENT_CODES['eif.instance-id-invalid'],
      'i- and 17 (or 8) lower-case hex digits',
      JSON.stringify(instanceId.slice(0, 64)),
    );
  return extendFromZero(asciiBytes(instanceId));
}

/**
 * PCR8 of an enclave whose image was signed with this certificate (PEM text with one certificate,
 * or DER), as 96 hex digits: SHA-384(48 zero bytes || SHA-384(DER)). Throws
 * `eif.certificate-malformed`.
 *
 * Source: specification of the Enclave Image Format, version 4.
 */
export function signingCertificatePcr(certificate: string | Uint8Array): string {
  return extendFromZero(sha384(readSigningCertificate(certificate).der));
}

/** Extends a PCR that was never extended, by bytes that are not hashed first. */
function extendFromZero(data: Uint8Array): string {
  return encodeHex(sha384(concatBytes(new Uint8Array(48), data)));
}
