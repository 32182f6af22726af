import { concatBytes } from '../../src/bytes/bytes.js';
import type { NitroIdentity, NitroPath } from '../../tools/simulator/nitro-pki.js';
import { rawToDer, signRaw } from './ecdsa.js';
import { bitString, children, contentsOf, hex, octetString, sequence, tlv } from './raw-der.js';

/** The fields of a TBSCertificate, each as its whole DER element (RFC 5280, 4.1.2). */
export interface CertificateParts {
  readonly version: Uint8Array;
  readonly serialNumber: Uint8Array;
  readonly signature: Uint8Array;
  readonly issuer: Uint8Array;
  readonly validity: Uint8Array;
  readonly subject: Uint8Array;
  readonly subjectPublicKeyInfo: Uint8Array;
  /** Each Extension as its whole element. */
  readonly extensions: readonly Uint8Array[];
}

/** What to change in a certificate; everything that is not named stays, and it is signed anew. */
export interface CertificateChange {
  readonly parts?: (parts: CertificateParts) => Partial<CertificateParts>;
  /** The last chance before signing: changes the whole TBSCertificate. */
  readonly tbs?: (tbs: Uint8Array) => Uint8Array;
  readonly hash?: 'SHA-256' | 'SHA-384';
  readonly outerAlgorithm?: Uint8Array;
  /** Signs again until this holds for r || s. */
  readonly until?: (signature: Uint8Array) => boolean;
  /** Changes the DER signature inside the BIT STRING. */
  readonly signature?: (signature: Uint8Array) => Uint8Array;
  /** Changes the whole signatureValue element. */
  readonly signatureValue?: (element: Uint8Array) => Uint8Array;
  /** Changes the finished certificate. */
  readonly certificate?: (certificate: Uint8Array) => Uint8Array;
  /** Signs with this key instead of the issuer's. */
  readonly signWith?: CryptoKey;
}

/** OBJECT IDENTIFIERs used by the profile, and some that are not (contents). */
export const OID = {
  ecdsaWithSha384: '2a8648ce3d040303',
  ecdsaWithSha256: '2a8648ce3d040302',
  ecPublicKey: '2a8648ce3d0201',
  secp384r1: '2b81040022',
  prime256v1: '2a8648ce3d030107',
  rsaEncryption: '2a864886f70d010101',
  basicConstraints: '551d13',
  keyUsage: '551d0f',
  subjectKeyIdentifier: '551d0e',
  authorityKeyIdentifier: '551d23',
  nameConstraints: '551d1e',
  /** An arc for examples (2.999.1). */
  unknown: '883701',
} as const;

export const oid = (contents: string): Uint8Array => tlv(0x06, hex(contents));
export const algorithm = (contents: string, ...parameters: Uint8Array[]): Uint8Array =>
  sequence(oid(contents), ...parameters);
export const TRUE: Uint8Array = hex('0101ff');

/** An Extension; `value` is what goes into the OCTET STRING. */
export const extension = (id: string, value: Uint8Array, critical = false): Uint8Array =>
  sequence(oid(id), ...(critical ? [TRUE] : []), octetString(value));

/** Splits a well-formed certificate. */
export function certificateParts(der: Uint8Array): CertificateParts {
  const [tbs] = children(der) as [Uint8Array];
  const fields = children(tbs);
  const [version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo] =
    fields as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const extensions = fields[7] === undefined ? [] : children(contentsOf(fields[7]));
  return {
    version,
    serialNumber,
    signature,
    issuer,
    validity,
    subject,
    subjectPublicKeyInfo,
    extensions,
  };
}

/** Joins the parts into a TBSCertificate. */
export function joinParts(parts: CertificateParts): Uint8Array {
  const { extensions, ...fields } = parts;
  return sequence(
    ...Object.values(fields),
    ...(extensions.length === 0 ? [] : [tlv(0xa3, sequence(...extensions))]),
  );
}

/** Makes a changed copy of a certificate, signed by `key`: only the intended defect is in it. */
export async function remintCertificate(
  der: Uint8Array,
  key: CryptoKey,
  change: CertificateChange = {},
): Promise<Uint8Array> {
  const parts = certificateParts(der);
  let tbs = joinParts({ ...parts, ...change.parts?.(parts) });
  tbs = change.tbs?.(tbs) ?? tbs;
  let raw: Uint8Array;
  do raw = await signRaw(change.signWith ?? key, tbs, change.hash ?? 'SHA-384');
  while (change.until !== undefined && !change.until(raw));
  const signature = rawToDer(raw);
  const value = bitString(change.signature?.(signature) ?? signature);
  const certificate = sequence(
    tbs,
    change.outerAlgorithm ?? algorithm(OID.ecdsaWithSha384),
    change.signatureValue?.(value) ?? value,
  );
  return change.certificate?.(certificate) ?? certificate;
}

/** Which certificate of a path. */
export type PathLevel = 'root' | 'regional' | 'zonal' | 'instance' | 'leaf';
const LEVELS = ['root', 'regional', 'zonal', 'instance', 'leaf'] as const;

/** The path with one certificate reminted: same key, same names unless changed, signed by its issuer. */
export async function changePath(
  path: NitroPath,
  level: PathLevel,
  change: CertificateChange,
): Promise<NitroPath> {
  const all = [...path.authorities, path.leaf];
  const index = LEVELS.indexOf(level);
  const subject = all[index] as NitroIdentity;
  const issuer = all[Math.max(0, index - 1)] as NitroIdentity;
  const der = await remintCertificate(subject.der, issuer.keys.privateKey, change);
  all[index] = { ...subject, der };
  return { authorities: all.slice(0, 4), leaf: all[4] as NitroIdentity };
}

/** Replaces or drops the extension with this OID. */
export const editExtension =
  (id: string, edit: (element: Uint8Array) => Uint8Array | undefined) =>
  (parts: CertificateParts): Partial<CertificateParts> => ({
    extensions: parts.extensions.flatMap((element) => {
      const wanted = contentsOf(children(element)[0] as Uint8Array);
      return hexOf(wanted) === id ? (edit(element) ?? []) : element;
    }),
  });

/** Adds extensions at the end. */
export const addExtensions =
  (...more: Uint8Array[]) =>
  (parts: CertificateParts): Partial<CertificateParts> => ({
    extensions: [...parts.extensions, ...more],
  });

/** Validity from two times in milliseconds. */
export const validity = (notBeforeMs: number, notAfterMs: number): Uint8Array =>
  sequence(time(notBeforeMs), time(notAfterMs));

/** UTCTime until 2049, GeneralizedTime after (RFC 5280, 4.1.2.5). */
export function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replace(/\D/g, '').slice(0, 14);
  const utc = digits < '2050';
  return timeOf(utc ? 0x17 : 0x18, `${utc ? digits.slice(2) : digits}Z`);
}

/** A time element of any text. */
export const timeOf = (tagNumber: number, text: string): Uint8Array =>
  tlv(tagNumber, new TextEncoder().encode(text));

/** SubjectPublicKeyInfo of an EC point. */
export const ecKeyInfo = (point: Uint8Array, curve: string = OID.secp384r1): Uint8Array =>
  sequence(algorithm(OID.ecPublicKey, oid(curve)), bitString(point));

/** PEM of a certificate. */
export function toPem(der: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...der));
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}(?!$)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}

const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** A copy of a name with another common name text at its end, still well formed. */
export const nameOf = (commonName: string): Uint8Array =>
  sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, new TextEncoder().encode(commonName)))));

export const withTrailing = (der: Uint8Array, more: Uint8Array): Uint8Array =>
  tlv(der[0] as number, concatBytes(contentsOf(der), more));
