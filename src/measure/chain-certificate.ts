import { encodeHex } from '../bytes/hex.js';
import type { CodeRow } from '../result/codes.js';
import { DER, DerReader } from '../x509/der.js';

/** What deciding needs of a certificate of an image's signature, or of db. RSA or not, any version. */
export interface ChainCertificate {
  readonly der: Uint8Array;
  /** The bytes its issuer signed. */
  readonly tbs: Uint8Array;
  /** Lower-case hex of the INTEGER's contents. */
  readonly serial: string;
  /** Names as `canonicalName` writes them. */
  readonly issuer: string;
  readonly subject: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** OIDs, as hex of their DER contents. */
  readonly keyOid: string;
  readonly signatureOid: string;
  readonly signature: Uint8Array;
  /** Whether it may issue certificates: RFC 5280, 4.2.1.9 and 4.2.1.3; old roots have no extensions. */
  readonly isAuthority: boolean;
  /** Key identifiers in hex; empty when there is none. */
  readonly subjectKeyId: string;
  readonly authorityKeyId: string;
}

const OID_SUBJECT_KEY_ID = '551d0e';
const OID_KEY_USAGE = '551d0f';
const OID_BASIC_CONSTRAINTS = '551d13';
const OID_AUTHORITY_KEY_ID = '551d23';
/** Bit 5 of KeyUsage, from the left. */
const KEY_CERT_SIGN = 0x04;

/** Reads a certificate. Every failure has the caller's code. */
export function readChainCertificate(der: Uint8Array, code: CodeRow): ChainCertificate {
  const outer: DerReader = new DerReader(der, 'certificate', code);
  const certificate = outer.sequence('Certificate');
  outer.end();
  const tbsElement = certificate.element(DER.SEQUENCE, 'tbsCertificate');
  const signatureOid = certificate.sequence('signatureAlgorithm').oid('algorithm');
  const signature = certificate.bitStringOfBytes('signatureValue');
  certificate.end();
  const tbs = certificate.inside(tbsElement, 'tbsCertificate');
  tbs.optional(0xa0, 'version');
  const serial = encodeHex(tbs.integer('serialNumber'));
  tbs.sequence('signature');
  const issuer = canonicalName(tbs.sequence('issuer'));
  tbs.sequence('validity');
  const subject = canonicalName(tbs.sequence('subject'));
  const keyElement = tbs.element(DER.SEQUENCE, 'subjectPublicKeyInfo');
  const keyOid = tbs.inside(keyElement, 'key').sequence('algorithm').oid('algorithm');
  tbs.optional(0x81, 'issuerUniqueID');
  tbs.optional(0x82, 'subjectUniqueID');
  const wrapped = tbs.optional(0xa3, 'extensions');
  tbs.end();
  const extensions = wrapped ? readExtensions(tbs.inside(wrapped, 'extensions')) : undefined;
  const read = <T>(oid: string, parse: (reader: DerReader) => T): T | undefined => {
    const value = extensions?.get(oid);
    return value && parse(new DerReader(value, 'extension', code));
  };
  const isCa = read(OID_BASIC_CONSTRAINTS, (one) => {
    const constraints = one.sequence('basicConstraints');
    return constraints.nextTag === DER.BOOLEAN && constraints.boolean('cA');
  });
  const usage = read(OID_KEY_USAGE, (one) => one.element(DER.BIT_STRING, 'keyUsage').contents);
  const maySign = usage === undefined || ((usage[1] ?? 0) & KEY_CERT_SIGN) !== 0;
  return {
    der,
    tbs: tbsElement.encoded,
    serial,
    issuer,
    subject,
    publicKey: keyElement.encoded,
    keyOid,
    signatureOid,
    signature,
    isAuthority: extensions === undefined ? issuer === subject : isCa === true && maySign,
    subjectKeyId: encodeHex(read(OID_SUBJECT_KEY_ID, (one) => one.octetString('id')) ?? NONE),
    authorityKeyId: encodeHex(
      read(
        OID_AUTHORITY_KEY_ID,
        (one) => one.sequence('authorityKeyIdentifier').optional(0x80, 'id')?.contents,
      ) ?? NONE,
    ),
  };
}

const NONE = new Uint8Array();

function readExtensions(wrapper: DerReader): Map<string, Uint8Array> {
  const list = wrapper.sequence('list');
  const found = new Map<string, Uint8Array>();
  while (!list.done) {
    const extension = list.sequence('Extension');
    const oid = extension.oid('extnID');
    extension.optional(DER.BOOLEAN, 'critical');
    found.set(oid, extension.octetString('extnValue'));
  }
  return found;
}

/**
 * A name in the form that OpenSSL, hence EDK2, compares: string types, upper and lower case and
 * runs of white space don't matter (RFC 5280, 7.1).
 */
export function canonicalName(name: DerReader): string {
  const parts: string[] = [];
  while (!name.done) {
    const set = name.inside(name.element(DER.SET, 'RDN'), 'RDN');
    const attributes: string[] = [];
    while (!set.done) {
      const attribute = set.sequence('AttributeTypeAndValue');
      const oid = attribute.oid('type');
      const { tag, contents } = attribute.any('value');
      const text = new TextDecoder(tag === 0x1e ? 'utf-16be' : 'utf-8').decode(contents);
      attributes.push(`${oid}=${text.trim().replace(/\s+/g, ' ').toLowerCase()}`);
    }
    parts.push(JSON.stringify(attributes.sort()));
  }
  return parts.join();
}
