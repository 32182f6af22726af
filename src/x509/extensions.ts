import { reject } from '../result/attestation-error.js';
import { DER, DerReader } from './der.js';

/** Named bits of keyUsage, most significant bit of the first octet first (RFC 5280, 4.2.1.3). */
export const KEY_USAGE = { digitalSignature: 0x80, keyCertSign: 0x04 } as const;

/** What path validation needs to know of a certificate's extensions. */
export interface Extensions {
  readonly basicConstraints:
    | { readonly critical: boolean; readonly ca: boolean; readonly pathLength: number | undefined }
    | undefined;
  /** First octet of keyUsage, undefined when the extension is absent. */
  readonly keyUsage: number | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  /** Hex of the OIDs that are critical and not understood: path validation refuses them. */
  readonly unknownCritical: readonly string[];
}

/** OIDs under id-ce 2.5.29 (RFC 5280, 4.2.1), as hex of their DER contents. */
const SUBJECT_KEY_ID = '551d0e';
const KEY_USAGE_OID = '551d0f';
const BASIC_CONSTRAINTS = '551d13';
const AUTHORITY_KEY_ID = '551d23';

const MAX_EXTENSIONS = 32;
const MAX_PATH_LENGTH = 255;

/** Reads the list of extensions. Throws `x509.malformed` and `x509.extension-duplicate`. */
export function readExtensions(list: DerReader, label: string): Extensions {
  const seen = new Set<string>();
  const unknownCritical: string[] = [];
  let basicConstraints: Extensions['basicConstraints'];
  let keyUsage: number | undefined;
  let subjectKeyId: Uint8Array | undefined;
  let authorityKeyId: Uint8Array | undefined;

  // RFC 5280, 4.1.2.9: the list, when present, is not empty.
  do {
    const extension = list.sequence('Extension');
    const oid = extension.oid('extnID');
    let critical = false;
    if (extension.nextTag === DER.BOOLEAN) {
      critical = extension.boolean('critical');
      // X.690, 11.5: a default value is not written.
      if (!critical) extension.fail('critical', 'TRUE or nothing', 'FALSE');
    }
    const value = new DerReader(
      extension.octetString('extnValue'),
      `${label} ${oid}`,
      'x509.malformed',
    );
    extension.end();
    if (seen.size >= MAX_EXTENSIONS)
      list.fail('list', `at most ${MAX_EXTENSIONS} extensions`, 'more');
    if (seen.has(oid))
      reject('x509.extension-duplicate', `${label}: each extension once`, `OID ${oid} again`);
    seen.add(oid);

    if (oid === BASIC_CONSTRAINTS) basicConstraints = { critical, ...readBasicConstraints(value) };
    else if (oid === KEY_USAGE_OID) keyUsage = readKeyUsage(value);
    else if (oid === SUBJECT_KEY_ID) subjectKeyId = value.octetString('subjectKeyIdentifier');
    else if (oid === AUTHORITY_KEY_ID) authorityKeyId = readAuthorityKeyId(value);
    else {
      if (critical) unknownCritical.push(oid);
      continue;
    }
    value.end();
  } while (!list.done);

  return { basicConstraints, keyUsage, subjectKeyId, authorityKeyId, unknownCritical };
}

/** SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL } (4.2.1.9). */
function readBasicConstraints(value: DerReader): { ca: boolean; pathLength: number | undefined } {
  const fields = value.sequence('basicConstraints');
  let ca = false;
  if (fields.nextTag === DER.BOOLEAN) {
    ca = fields.boolean('cA');
    if (!ca) fields.fail('cA', 'TRUE or nothing', 'FALSE');
  }
  let pathLength: number | undefined;
  if (fields.nextTag === DER.INTEGER)
    pathLength = fields.smallInteger('pathLenConstraint', MAX_PATH_LENGTH);
  fields.end();
  return { ca, pathLength };
}

/** A named-bit list with at least one bit set (4.2.1.3). */
function readKeyUsage(value: DerReader): number {
  const first = value.namedBits('keyUsage')[0];
  if (first === undefined) value.fail('keyUsage', 'at least one bit', 'none');
  return first;
}

/** SEQUENCE { keyIdentifier [0] OPTIONAL, issuer [1] OPTIONAL, serial [2] OPTIONAL } (4.2.1.1). */
function readAuthorityKeyId(value: DerReader): Uint8Array | undefined {
  const fields = value.sequence('authorityKeyIdentifier');
  const keyId = fields.optional(0x80, 'keyIdentifier')?.contents;
  fields.optional(0xa1, 'authorityCertIssuer');
  fields.optional(0x82, 'authorityCertSerialNumber');
  fields.end();
  return keyId;
}
