import { ByteReader } from '../bytes/byte-reader.js';
import { encodeHex } from '../bytes/hex.js';
import { reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { DER, DerReader } from '../x509/der.js';
import { readExactly } from './byte-source.js';
import { canonicalName } from './chain-certificate.js';
import { notPredictable } from './initrd-pieces.js';
import type { PeImage } from './pe-image.js';

const CODES = {
  truncated: MEASUREMENT_CODES['pe.certificate-table'],
  trailing: MEASUREMENT_CODES['pe.certificate-table'],
} as const;
const MALFORMED = MEASUREMENT_CODES['pe.signature-malformed'];
const MAX_TABLE_BYTES = 1024 * 1024;
const MAX_CERTIFICATES = 64;
/** WIN_CERT_TYPE_PKCS_SIGNED_DATA. */
const PKCS_SIGNED_DATA = 0x0002;
/** WIN_CERT_TYPE_EFI_GUID; firmware may use it, signing tools don't. */
const EFI_GUID = 0x0ef1;
/** pkcs7-signedData, 1.2.840.113549.1.7.2. */
const SIGNED_DATA_OID = '2a864886f70d010702';
/** SPC_INDIRECT_DATA_OBJID, 1.3.6.1.4.1.311.2.1.4. */
const SPC_INDIRECT_DATA_OID = '2b060104018237020104';
/** id-messageDigest, 1.2.840.113549.1.9.4. */
const MESSAGE_DIGEST_OID = '2a864886f70d010904';

/** One Authenticode signature of an image. OIDs are the hex of their DER contents. */
export interface PeSignature {
  /** The certificates it carries, DER, in their order. */
  readonly certificates: readonly Uint8Array[];
  /** Of the hash algorithm, for the image as for the signature. */
  readonly digestOid: string;
  /** What the image's Authenticode digest must be. */
  readonly imageDigest: Uint8Array;
  /** What `messageDigest` is the digest of. */
  readonly signedContent: Uint8Array;
  readonly messageDigest: Uint8Array;
  /** Which certificate is the signer's: its issuer as `canonicalName` writes it, and serial. */
  readonly issuer: string;
  readonly serial: string;
  readonly encryptionOid: string;
  /** What `signature` is made over, not yet hashed. */
  readonly signedBytes: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * The certificates that each of an image's Authenticode signatures carries, DER, in their order.
 * Empty when the image is not signed. Nothing is verified here: firmware does that at boot.
 *
 * Throws `pe.certificate-table`, `pe.signature-malformed`, `pe.limit-exceeded`.
 */
export async function readSignatureCertificates(image: PeImage): Promise<Uint8Array[][]> {
  const blobs = await readEntries(image, PKCS_SIGNED_DATA);
  const signatures = blobs.map((blob) => readSignedData(blob).certificates);
  checkCount(signatures);
  return signatures;
}

/**
 * An image's Authenticode signatures, in their order; nothing is verified here. Throws
 * `pe.certificate-table`, `pe.signature-malformed`, `pe.limit-exceeded`, `uki.not-predictable`.
 */
export async function readSignatures(image: PeImage): Promise<PeSignature[]> {
  if ((await readEntries(image, EFI_GUID)).length > 0)
    notPredictable('the image has a signature of type EFI_GUID');
  const signatures = (await readEntries(image, PKCS_SIGNED_DATA)).map(readSignature);
  checkCount(signatures.map(({ certificates }) => certificates));
  return signatures;
}

async function readEntries(image: PeImage, wanted: number): Promise<Uint8Array[]> {
  const { offset, size } = image.certificates;
  if (size > MAX_TABLE_BYTES)
    reject(
      MEASUREMENT_CODES['pe.limit-exceeded'],
      `a certificate table of at most ${MAX_TABLE_BYTES} bytes`,
      `${size} bytes`,
    );
  if (size === 0) return [];
  return readTable(await readExactly(image.source, offset, size, 'certificate table'), wanted);
}

function checkCount(signatures: readonly (readonly Uint8Array[])[]): void {
  const count = signatures.flat().length;
  if (count > MAX_CERTIFICATES)
    reject(
      MEASUREMENT_CODES['pe.limit-exceeded'],
      `at most ${MAX_CERTIFICATES} certificates`,
      `${count}`,
    );
}

/** The contents of a chain of WIN_CERTIFICATEs of one type, each padded to 8 bytes. */
function readTable(table: Uint8Array, wanted: number): Uint8Array[] {
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
    if (type === wanted) blobs.push(blob);
  }
  return blobs;
}

/** SignedData up to and including its certificates (RFC 2315, 9.1). */
function readSignedData(blob: Uint8Array): {
  digestAlgorithms: DerReader;
  content: DerReader;
  certificates: Uint8Array[];
  rest: DerReader;
} {
  const outer = new DerReader(blob, 'Authenticode signature', MALFORMED);
  const info: DerReader = outer.sequence('ContentInfo'); // padding may follow
  const oid = info.oid('contentType');
  if (oid !== SIGNED_DATA_OID) info.fail('contentType', 'signedData', oid);
  const explicit = info.inside(info.element(0xa0, 'content'), 'content');
  const rest = explicit.sequence('SignedData');
  rest.integer('version');
  const digestAlgorithms = rest.inside(rest.element(DER.SET, 'digestAlgorithms'), 'algorithms');
  const content = rest.sequence('contentInfo');
  const field = rest.optional(0xa0, 'certificates');
  const certificates: Uint8Array[] = [];
  const set = field && rest.inside(field, 'certificates');
  while (set !== undefined && !set.done)
    certificates.push(set.element(DER.SEQUENCE, 'certificate').encoded);
  return { digestAlgorithms, content, certificates, rest };
}

/** SpcIndirectDataContent, and the one SignerInfo (RFC 2315, 9.2). */
function readSignature(blob: Uint8Array): PeSignature {
  const { digestAlgorithms, content, certificates, rest } = readSignedData(blob);
  const digestOid = digestAlgorithms.sequence('algorithm').oid('algorithm');
  digestAlgorithms.end(); // EDK2 hashes the image with the first one
  const contentOid = content.oid('contentType');
  if (contentOid !== SPC_INDIRECT_DATA_OID)
    content.fail('contentType', 'SpcIndirectData', contentOid);
  const wrapper = content.inside(content.element(0xa0, 'content'), 'content');
  const spcElement = wrapper.element(DER.SEQUENCE, 'SpcIndirectDataContent');
  const spc = wrapper.inside(spcElement, 'SpcIndirectDataContent');
  spc.sequence('data');
  const info = spc.sequence('messageDigest');
  const imageDigestOid = info.sequence('digestAlgorithm').oid('algorithm');
  const imageDigest = info.octetString('digest');
  info.end();
  spc.end();
  rest.optional(0xa1, 'crls');
  const signers = rest.inside(rest.element(DER.SET, 'signerInfos'), 'signerInfos');
  const signer = signers.sequence('SignerInfo');
  signers.end();
  signer.integer('version');
  const name = signer.sequence('issuerAndSerialNumber');
  const issuer = canonicalName(name.sequence('issuer'));
  const serial = encodeHex(name.integer('serialNumber'));
  const signerDigestOid = signer.sequence('digestAlgorithm').oid('algorithm');
  const attributes = signer.element(0xa0, 'authenticatedAttributes');
  const encryptionOid = signer.sequence('digestEncryptionAlgorithm').oid('algorithm');
  const signature = signer.octetString('encryptedDigest');
  if (digestOid !== imageDigestOid || digestOid !== signerDigestOid)
    signer.fail('digestAlgorithm', `${digestOid}, as in digestAlgorithms`, signerDigestOid);
  const signedBytes = attributes.encoded.slice();
  signedBytes[0] = DER.SET; // RFC 2315, 9.3
  return {
    certificates,
    digestOid,
    imageDigest,
    signedContent: spcElement.contents,
    messageDigest: messageDigestOf(signer.inside(attributes, 'attributes')),
    issuer,
    serial,
    encryptionOid,
    signedBytes,
    signature,
  };
}

function messageDigestOf(attributes: DerReader): Uint8Array {
  const found: Uint8Array[] = [];
  while (!attributes.done) {
    const attribute = attributes.sequence('attribute');
    if (attribute.oid('type') !== MESSAGE_DIGEST_OID) continue;
    const values = attribute.inside(attribute.element(DER.SET, 'values'), 'values');
    found.push(values.octetString('messageDigest'));
    values.end();
  }
  const [digest] = found;
  if (digest === undefined || found.length > 1)
    return attributes.fail('messageDigest', 'one', `${found.length}`);
  return digest;
}
