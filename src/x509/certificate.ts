import { encodeHex } from '../bytes/hex.js';
import { ALGORITHMS } from '../crypto/algorithms.js';
import { isPointOnCurve } from '../crypto/curve.js';
import { reject } from '../result/attestation-error.js';
import { DER, DerReader } from './der.js';
import { rawSignature } from './der-signature.js';
import { type Extensions, readExtensions } from './extensions.js';
import { type Name, readName } from './name.js';

/** A parsed certificate that nothing has been checked of yet but its form. */
export interface Certificate {
  /** Names the certificate in messages, e.g. `cabundle[2]`. */
  readonly label: string;
  readonly der: Uint8Array;
  /** The bytes its issuer signed. */
  readonly tbs: Uint8Array;
  /** r || s, 96 bytes. */
  readonly signature: Uint8Array;
  readonly serialHex: string;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Uncompressed point on P-384, 97 bytes. */
  readonly publicKey: Uint8Array;
  readonly extensions: Extensions;
}

const MALFORMED = 'x509.malformed';
const PROFILE = ALGORITHMS.ES384;
/** id-ecPublicKey (RFC 5480, 2.1.1). */
const OID_EC_PUBLIC_KEY = '2a8648ce3d0201';

/**
 * Parses an X.509 v3 certificate (RFC 5280, 4.1) of the Nitro profile: P-384 keys, ecdsa-with-SHA384.
 * Throws `x509.malformed`, `x509.algorithm-mismatch`, `x509.algorithm-unsupported`,
 * `x509.public-key-invalid`, `x509.extension-duplicate`; checks no signature and no time.
 */
export function parseCertificate(der: Uint8Array, label: string): Certificate {
  const outer = new DerReader(der, label, MALFORMED);
  const certificate = outer.sequence('Certificate');
  outer.end();
  const tbsElement = certificate.element(DER.SEQUENCE, 'tbsCertificate');
  const outerAlgorithm = certificate.element(DER.SEQUENCE, 'signatureAlgorithm');
  const signatureDer = certificate.bitStringOfBytes('signatureValue');
  certificate.end();

  const tbs = certificate.inside(tbsElement, 'tbsCertificate');
  readVersion(tbs);
  const serial = readSerial(tbs);
  const innerAlgorithm = tbs.element(DER.SEQUENCE, 'signature');
  checkAlgorithms(innerAlgorithm.encoded, outerAlgorithm.encoded, tbs, label);
  const issuer = readName(tbs, 'issuer');
  const validity = tbs.sequence('validity');
  const notBeforeMs = validity.time('notBefore');
  const notAfterMs = validity.time('notAfter');
  validity.end();
  if (notAfterMs < notBeforeMs) tbs.fail('validity', 'notBefore before notAfter', 'the opposite');
  const subject = readName(tbs, 'subject');
  const publicKey = readPublicKey(tbs, label);
  // issuerUniqueID [1] and subjectUniqueID [2] may not be used (RFC 5280, 4.1.2.8): [3] comes next.
  const wrapped = tbs.element(0xa3, 'extensions');
  tbs.end();
  const wrapper = tbs.inside(wrapped, 'extensions');
  const extensions = readExtensions(wrapper.sequence('list'), label);
  wrapper.end();

  return {
    label,
    der,
    tbs: tbsElement.encoded,
    signature: rawSignature(
      signatureDer,
      PROFILE.coordinateBytes,
      `${label} signatureValue`,
      MALFORMED,
    ),
    serialHex: encodeHex(serial),
    issuer,
    subject,
    notBeforeMs,
    notAfterMs,
    publicKey,
    extensions,
  };
}

/** Version v3: extensions are what makes CAs and leaves distinguishable. */
function readVersion(tbs: DerReader): void {
  const version = tbs.inside(tbs.element(0xa0, 'version'), 'version');
  if (version.smallInteger('number', 2) !== 2) version.fail('number', '2 (v3)', 'an older version');
  version.end();
}

/** Not negative, of at most 20 octets (RFC 5280, 4.1.2.2), beside which AWS writes a sign octet. */
function readSerial(tbs: DerReader): Uint8Array {
  const serial = tbs.integer('serialNumber');
  if (serial.length > (serial[0] === 0 ? 21 : 20) || (serial[0] as number) & 0x80)
    tbs.fail('serialNumber', 'a positive INTEGER of at most 20 bytes', encodeHex(serial));
  return serial;
}

function checkAlgorithms(
  inner: Uint8Array,
  outer: Uint8Array,
  tbs: DerReader,
  label: string,
): void {
  const [innerHex, outerHex] = [encodeHex(inner), encodeHex(outer)];
  if (innerHex !== outerHex)
    reject('x509.algorithm-mismatch', `${label}: ${innerHex} (inside)`, `${outerHex} (outside)`);
  const identifier = new DerReader(inner, `${label} algorithm`, MALFORMED).sequence('identifier');
  const oid = identifier.oid('algorithm');
  if (oid !== PROFILE.signatureOid)
    reject(
      'x509.algorithm-unsupported',
      `${label}: ecdsa-with-SHA384 (OID ${PROFILE.signatureOid})`,
      `OID ${oid}`,
    );
  // RFC 5758, 3.2: the parameters are absent.
  if (!identifier.done) tbs.fail('signature parameters', 'none', 'some');
}

function readPublicKey(tbs: DerReader, label: string): Uint8Array {
  const info = tbs.sequence('subjectPublicKeyInfo');
  const algorithm = info.sequence('algorithm');
  const keyType = algorithm.oid('type');
  const unsupported = (actual: string): never => {
    reject('x509.algorithm-unsupported', `${label}: an EC key on P-384`, actual);
  };
  if (keyType !== OID_EC_PUBLIC_KEY) unsupported(`key type OID ${keyType}`);
  const curve = algorithm.oid('named curve');
  if (curve !== PROFILE.curveOid) unsupported(`curve OID ${curve}`);
  algorithm.end();
  const point = info.bitStringOfBytes('subjectPublicKey');
  info.end();
  if (!isPointOnCurve(PROFILE.curve, point))
    reject(
      'x509.public-key-invalid',
      `${label}: 04 || x || y on P-384, 97 bytes`,
      `${point.length} bytes starting ${encodeHex(point.subarray(0, 4))}`,
    );
  return point;
}
