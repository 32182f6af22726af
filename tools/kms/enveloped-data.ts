import { concatBytes, encodeHex } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';
import { type BerElement, readBer } from './read-ber.js';

/** What an envelope of the key service holds (RFC 5652, 6.1). */
export interface EnvelopedData {
  /** SHA-256 of the recipient's SubjectPublicKeyInfo. */
  readonly recipientKeyId: Uint8Array;
  /** The content key, encrypted with RSAES-OAEP (SHA-256, MGF1 with SHA-256, no label). */
  readonly encryptedKey: Uint8Array;
  /** Of AES-256-CBC. */
  readonly iv: Uint8Array;
  /** Whole blocks, with PKCS#7 padding inside. */
  readonly encryptedContent: Uint8Array;
}

/** KMS documents at most 6144 bytes; a data key of 32 bytes takes 493. */
const MAX_ENVELOPE_BYTES = 16_384;

/** Identifier octets. */
const TAG = {
  INTEGER: 0x02,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  SEQUENCE: 0x30,
  SET: 0x31,
  PRIMITIVE_0: 0x80,
  CONSTRUCTED_0: 0xa0,
  CONSTRUCTED_1: 0xa1,
  CONSTRUCTED_2: 0xa2,
} as const;

/** Contents of object identifiers. */
const OID = {
  data: '2a864886f70d010701',
  envelopedData: '2a864886f70d010703',
  rsaesOaep: '2a864886f70d010107',
  mgf1: '2a864886f70d010108',
  pSpecified: '2a864886f70d010109',
  sha256: '608648016503040201',
  aes256Cbc: '60864801650304012a',
} as const;

/**
 * Reads a `CiphertextForRecipient`: CMS EnvelopedData in BER, and of CMS only what AWS KMS writes.
 * @throws ToolError `cms.too-large`, `cms.malformed`, `cms.unsupported`
 */
export function parseEnvelopedData(bytes: Uint8Array): EnvelopedData {
  if (bytes.length > MAX_ENVELOPE_BYTES)
    throw new ToolError('cms.too-large', {
      expected: `at most ${MAX_ENVELOPE_BYTES} bytes`,
      actual: `${bytes.length}`,
    });
  // ContentInfo: contentType, [0] EXPLICIT content (RFC 5652, 3)
  const [contentType, explicit] = fields(readBer(bytes), TAG.SEQUENCE, 'ContentInfo', 2);
  demandOid(contentType, OID.envelopedData, 'contentType');
  const [enveloped] = fields(explicit, TAG.CONSTRUCTED_0, 'content', 1);
  // EnvelopedData: neither originatorInfo nor unprotectedAttrs
  const [version, recipients, contentInfo] = fields(enveloped, TAG.SEQUENCE, 'EnvelopedData', 3);
  demandVersion2(version, 'EnvelopedData');
  const [recipient] = fields(recipients, TAG.SET, 'recipientInfos', 1);
  return { ...readRecipient(recipient), ...readContent(contentInfo) };
}

/** KeyTransRecipientInfo (6.2.1): version 2 names the recipient by subjectKeyIdentifier. */
function readRecipient(
  element: BerElement,
): Pick<EnvelopedData, 'recipientKeyId' | 'encryptedKey'> {
  const [version, id, algorithm, key] = fields(element, TAG.SEQUENCE, 'KeyTransRecipientInfo', 4);
  demandVersion2(version, 'KeyTransRecipientInfo');
  const recipientKeyId = primitive(id, TAG.PRIMITIVE_0, 'subjectKeyIdentifier');
  if (recipientKeyId.length !== 32)
    throw unsupported('a subjectKeyIdentifier of 32 bytes', `${recipientKeyId.length}`);
  demandOaepSha256(algorithm);
  return { recipientKeyId, encryptedKey: primitive(key, TAG.OCTET_STRING, 'encryptedKey') };
}

/** RSAES-OAEP-params (RFC 8017, A.2.1): SHA-256, MGF1 with SHA-256, and the label empty. */
function demandOaepSha256(element: BerElement): void {
  const [id, parameters] = fields(element, TAG.SEQUENCE, 'keyEncryptionAlgorithm', 2);
  demandOid(id, OID.rsaesOaep, 'keyEncryptionAlgorithm');
  const [hash, mask, label] = fields(parameters, TAG.SEQUENCE, 'RSAES-OAEP parameters', 2, 3);
  demandSha256(fields(hash, TAG.CONSTRUCTED_0, 'hashAlgorithm', 1)[0], 'hashAlgorithm');
  const [mgf] = fields(mask, TAG.CONSTRUCTED_1, 'maskGenAlgorithm', 1);
  const [mgfId, mgfHash] = fields(mgf, TAG.SEQUENCE, 'maskGenAlgorithm', 2);
  demandOid(mgfId, OID.mgf1, 'maskGenAlgorithm');
  demandSha256(mgfHash, 'hash of MGF1');
  if (label === undefined) return;
  const [source] = fields(label, TAG.CONSTRUCTED_2, 'pSourceAlgorithm', 1);
  const [sourceId, text] = fields(source, TAG.SEQUENCE, 'pSourceAlgorithm', 2);
  demandOid(sourceId, OID.pSpecified, 'pSourceAlgorithm');
  if (primitive(text, TAG.OCTET_STRING, 'label').length > 0)
    throw unsupported('an empty label', 'another');
}

/** The hash, with NULL as parameters or none (RFC 8017, A.2.1). */
function demandSha256(element: BerElement, where: string): void {
  const [id, none] = fields(element, TAG.SEQUENCE, where, 1, 2);
  demandOid(id, OID.sha256, where);
  if (none !== undefined && primitive(none, TAG.NULL, where).length > 0)
    throw unsupported(`${where} without parameters`, 'some');
}

/** EncryptedContentInfo (RFC 5652, 6.1). */
function readContent(element: BerElement): Pick<EnvelopedData, 'iv' | 'encryptedContent'> {
  const [type, algorithm, content] = fields(element, TAG.SEQUENCE, 'EncryptedContentInfo', 3);
  demandOid(type, OID.data, 'type of the content');
  const [id, parameters] = fields(algorithm, TAG.SEQUENCE, 'contentEncryptionAlgorithm', 2);
  demandOid(id, OID.aes256Cbc, 'contentEncryptionAlgorithm');
  const iv = primitive(parameters, TAG.OCTET_STRING, 'IV');
  if (iv.length !== 16) throw unsupported('an IV of 16 bytes', `${iv.length}`);
  const encryptedContent = joinChunks(content);
  if (encryptedContent.length === 0 || encryptedContent.length % 16 !== 0)
    throw new ToolError('cms.malformed', {
      expected: 'encrypted content in blocks of 16 bytes',
      actual: `${encryptedContent.length} bytes`,
    });
  return { iv, encryptedContent };
}

/** [0] IMPLICIT OCTET STRING: primitive, or constructed of chunks (X.690, 8.7). */
function joinChunks(element: BerElement): Uint8Array {
  if (element.tag === TAG.PRIMITIVE_0) return element.contents;
  if (element.tag !== TAG.CONSTRUCTED_0)
    throw unsupported('encryptedContent in [0]', `tag 0x${element.tag.toString(16)}`);
  const chunks = (element.children ?? []).map((chunk) =>
    primitive(chunk, TAG.OCTET_STRING, 'chunk of the encryptedContent'),
  );
  return concatBytes(...chunks);
}

/** The children of a constructed element; as many as there must be. */
function fields<N extends 1 | 2 | 3 | 4>(
  element: BerElement,
  tag: number,
  name: string,
  count: N,
  max: number = count,
): Tuple<N> {
  const { children } = element;
  if (element.tag !== tag || children === undefined)
    throw unsupported(`${name} with tag 0x${tag.toString(16)}`, `0x${element.tag.toString(16)}`);
  if (children.length < count || children.length > max)
    throw unsupported(`${name} of ${count} elements`, `${children.length}`);
  return children as unknown as Tuple<N>;
}

/** At least so many, and perhaps more. */
type Tuple<N extends 1 | 2 | 3 | 4> = {
  1: readonly [BerElement, ...(BerElement | undefined)[]];
  2: readonly [BerElement, BerElement, ...(BerElement | undefined)[]];
  3: readonly [BerElement, BerElement, BerElement, ...(BerElement | undefined)[]];
  4: readonly [BerElement, BerElement, BerElement, BerElement];
}[N];

function primitive(element: BerElement, tag: number, name: string): Uint8Array {
  if (element.tag !== tag)
    throw unsupported(`${name} with tag 0x${tag.toString(16)}`, `0x${element.tag.toString(16)}`);
  return element.contents;
}

function demandOid(element: BerElement, oid: string, name: string): void {
  const actual = encodeHex(primitive(element, TAG.OID, name).subarray(0, 32));
  if (actual !== oid) throw unsupported(`${name} ${oid}`, actual);
}

function demandVersion2(element: BerElement, name: string): void {
  const actual = encodeHex(primitive(element, TAG.INTEGER, `version of ${name}`).subarray(0, 8));
  if (actual !== '02') throw unsupported(`version 2 of ${name}`, `0x${actual}`);
}

function unsupported(expected: string, actual: string): ToolError {
  return new ToolError('cms.unsupported', { expected, actual });
}
