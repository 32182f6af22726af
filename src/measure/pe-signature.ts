import { ByteReader } from '../bytes/byte-reader.js';
import { AttestationError } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { DER, DerReader } from '../x509/der.js';
import { readExactly } from './byte-source.js';
import type { PeImage } from './pe-image.js';

const CODES = {
  truncated: MEASUREMENT_CODES['pe.certificate-table'],
  trailing: MEASUREMENT_CODES['pe.certificate-table'],
} as const;
const MAX_TABLE_BYTES = 1024 * 1024;
const MAX_CERTIFICATES = 64;
/** WIN_CERT_TYPE_PKCS_SIGNED_DATA. */
const PKCS_SIGNED_DATA = 0x0002;
/** pkcs7-signedData, 1.2.840.113549.1.7.2. */
const SIGNED_DATA_OID = '2a864886f70d010702';

/**
 * The certificates that each of an image's Authenticode signatures carries, DER, in their order.
 * Empty when the image is not signed. Nothing is verified here: firmware does that at boot.
 *
 * Throws `pe.certificate-table`, `pe.signature-malformed`, `pe.limit-exceeded`.
 */
export async function readSignatureCertificates(image: PeImage): Promise<Uint8Array[][]> {
  const { offset, size } = image.certificates;
  if (size > MAX_TABLE_BYTES)
    throw new AttestationError(MEASUREMENT_CODES['pe.limit-exceeded'], {
      expected: `a certificate table of at most ${MAX_TABLE_BYTES} bytes`,
      actual: `${size} bytes`,
    });
  if (size === 0) return [];
  const table = await readExactly(image.source, offset, size, 'certificate table');
  const signatures = readTable(table).map(certificatesOf);
  const count = signatures.flat().length;
  if (count > MAX_CERTIFICATES)
    throw new AttestationError(MEASUREMENT_CODES['pe.limit-exceeded'], {
      expected: `at most ${MAX_CERTIFICATES} certificates`,
      actual: `${count}`,
    });
  return signatures;
}

/** The PKCS#7 blobs of a chain of WIN_CERTIFICATEs, each padded to 8 bytes. */
function readTable(table: Uint8Array): Uint8Array[] {
  const reader: ByteReader = new ByteReader(table, 'WIN_CERTIFICATE', CODES, 'little');
  const blobs: Uint8Array[] = [];
  while (reader.left > 0) {
    const length = reader.u32('dwLength');
    reader.u16('wRevision');
    const type = reader.u16('wCertificateType');
    if (length <= 8) reader.fail(CODES.truncated, 'dwLength', 'more than 8', `${length}`);
    const blob = reader.take(length - 8, 'bCertificate');
    // The last one may end without padding.
    reader.take(Math.min((8 - (length % 8)) % 8, reader.left), 'padding');
    if (type === PKCS_SIGNED_DATA) blobs.push(blob);
  }
  return blobs;
}

/** The certificates field of SignedData (RFC 2315, 9.1). */
function certificatesOf(blob: Uint8Array): Uint8Array[] {
  const outer = new DerReader(
    blob,
    'Authenticode signature',
    MEASUREMENT_CODES['pe.signature-malformed'],
  );
  const content: DerReader = outer.sequence('ContentInfo'); // padding may follow
  const oid = content.oid('contentType');
  if (oid !== SIGNED_DATA_OID) content.fail('contentType', 'signedData', oid);
  const explicit = content.inside(content.element(0xa0, 'content'), 'content');
  const signed = explicit.sequence('SignedData');
  signed.integer('version');
  signed.element(DER.SET, 'digestAlgorithms');
  signed.sequence('contentInfo');
  const field = signed.optional(0xa0, 'certificates');
  if (field === undefined) return [];
  const set = signed.inside(field, 'certificates');
  const certificates: Uint8Array[] = [];
  while (!set.done) certificates.push(set.element(DER.SEQUENCE, 'certificate').encoded);
  return certificates;
}
