import { decodeBase64 } from '../bytes/base64.js';
import { type Bytes, copyBytes } from '../bytes/bytes.js';
import { reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { DER, DerReader } from '../x509/der.js';
import { certificateSubject } from './certificate-subject.js';

/** The COSE algorithms that sign images: which one follows from the key (RFC 9053, 2.1). */
export const EIF_ALGORITHMS = {
  ES256: { cose: -7, curve: 'P-256', curveOid: '2a8648ce3d030107', coordinateBytes: 32 },
  ES384: { cose: -35, curve: 'P-384', curveOid: '2b81040022', coordinateBytes: 48 },
  ES512: { cose: -36, curve: 'P-521', curveOid: '2b81040023', coordinateBytes: 66 },
} as const;

/** How an image is signed. */
export type EifAlgorithm = keyof typeof EIF_ALGORITHMS;

/** What is needed of the certificate that signs an image. Nothing of it is proven. */
export interface SigningCertificate {
  readonly der: Bytes;
  /** Which algorithm its key signs with; undefined for keys that cannot sign images. */
  readonly algorithm: EifAlgorithm | undefined;
  /** Uncompressed point: 04 || x || y. */
  readonly publicKey: Bytes;
  /** For people. */
  readonly subject: string | undefined;
  /** Milliseconds since the epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const CODE = MEASUREMENT_CODES['eif.certificate-malformed'];
const OID_EC_PUBLIC_KEY = '2a8648ce3d0201';
const BLOCK = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/g;
const MAX_BYTES = 64 * 1024;

/**
 * Reads a certificate given as PEM text with exactly one CERTIFICATE block, or as DER. Checks its
 * form, no signature and no time. Throws `eif.certificate-malformed`.
 */
export function readSigningCertificate(certificate: string | Uint8Array): SigningCertificate {
  if (certificate.length > MAX_BYTES) fail(`at most ${MAX_BYTES} bytes`, `${certificate.length}`);
  const der = typeof certificate === 'string' ? fromPem(certificate) : copyBytes(certificate);
  const outer = new DerReader(der, 'signing certificate', CODE);
  const whole = outer.sequence('Certificate');
  outer.end();
  const tbs = whole.sequence('tbsCertificate');
  tbs.optional(0xa0, 'version');
  tbs.integer('serialNumber');
  tbs.sequence('signature');
  tbs.sequence('issuer');
  const validity = tbs.sequence('validity');
  const notBeforeMs = validity.time('notBefore');
  const notAfterMs = validity.time('notAfter');
  tbs.sequence('subject');
  const info = tbs.sequence('subjectPublicKeyInfo');
  const identifier = info.sequence('algorithm');
  const isEc = identifier.oid('type') === OID_EC_PUBLIC_KEY;
  const curve = isEc && identifier.nextTag === DER.OID ? identifier.oid('curve') : undefined;
  const algorithm = (Object.keys(EIF_ALGORITHMS) as EifAlgorithm[]).find(
    (name) => EIF_ALGORITHMS[name].curveOid === curve,
  );
  const publicKey = copyBytes(info.bitStringOfBytes('subjectPublicKey'));
  return { der, algorithm, publicKey, subject: certificateSubject(der), notBeforeMs, notAfterMs };
}

function fromPem(text: string): Bytes {
  const blocks = [...text.matchAll(BLOCK)];
  const [block] = blocks;
  if (block === undefined || blocks.length > 1)
    fail('PEM text with one CERTIFICATE block', `${blocks.length} of them`);
  const der = decodeBase64((block[1] as string).replace(/\s/g, ''));
  if (der === undefined) fail('a CERTIFICATE block of base64', 'something else');
  return der;
}

function fail(expected: string, actual: string): never {
  reject(CODE, expected, actual);
}
