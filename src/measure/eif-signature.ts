import { p256, p384, p521 } from '@noble/curves/nist.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import { asciiBytes, type Bytes, equalBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { CborMap, type CborValue, decodeCbor, describeCbor } from '../cbor.js';
import { AttestationError, reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import {
  EIF_ALGORITHMS,
  type EifAlgorithm,
  readSigningCertificate,
  type SigningCertificate,
} from './signing-certificate.js';

/** The signature section of an image, taken apart; nobody has checked the signature yet. */
export interface EifSignature {
  readonly certificate: SigningCertificate;
  /** As it stands in the section. */
  readonly certificatePem: string;
  readonly algorithm: EifAlgorithm;
  /** The PCR that was signed: always PCR0. */
  readonly registerValue: Bytes;
  readonly protectedBytes: Bytes;
  readonly payload: Bytes;
  /** r || s. */
  readonly signature: Bytes;
}

const MALFORMED = MEASUREMENT_CODES['eif.signature-malformed'];
const CURVES = { 'P-256': p256, 'P-384': p384, 'P-521': p521 } as const;
/** A section of 64 KiB, every byte an item. */
const MAX_ITEMS = 65_536;
const TAG_SIGN1 = 0xd2;
const LABEL_ALG = 1;

/**
 * Reads a signature section: a CBOR array with one map {signing_certificate, signature}. Byte
 * vectors may be arrays of integers, as the reference implementation writes them, or byte strings.
 * Throws `eif.signature-malformed`, `eif.signature-algorithm`, `eif.certificate-malformed`.
 */
export function parseEifSignature(section: Uint8Array): EifSignature {
  const list = decode(section, 'signature section');
  if (!Array.isArray(list) || list.length !== 1)
    malformed('an array of one signature', describeCbor(list));
  const entry: CborValue = list[0];
  if (!(entry instanceof CborMap)) malformed('a map', describeCbor(entry));
  const certificatePem = text(vector(entry.get('signing_certificate'), 'signing_certificate'));
  const certificate = readSigningCertificate(certificatePem);
  const envelope = vector(entry.get('signature'), 'signature');
  return { certificate, certificatePem, ...parseSign1(envelope) };
}

/** The COSE_Sign1 (RFC 9052, 4.2), tagged or not, and its payload. */
function parseSign1(
  bytes: Uint8Array,
): Pick<EifSignature, 'algorithm' | 'registerValue' | 'protectedBytes' | 'payload' | 'signature'> {
  const envelope = decode(bytes[0] === TAG_SIGN1 ? bytes.subarray(1) : bytes, 'COSE_Sign1');
  if (!Array.isArray(envelope) || envelope.length !== 4)
    malformed('COSE_Sign1 as an array of four', describeCbor(envelope));
  const [protectedBytes, unprotectedHeader, payload, signature] = envelope as CborValue[];
  if (
    !(protectedBytes instanceof Uint8Array) ||
    !(unprotectedHeader instanceof CborMap) ||
    !(payload instanceof Uint8Array) ||
    !(signature instanceof Uint8Array)
  )
    malformed('COSE_Sign1 as [bytes, map, bytes, bytes]', 'other types');
  const header = decode(protectedBytes, 'protected header');
  if (!(header instanceof CborMap)) malformed('protected header as map', describeCbor(header));
  if (header.has(2)) malformed('no critical headers', 'crit (RFC 9052, 3.1)');
  const number = header.get(LABEL_ALG);
  const algorithm = (Object.keys(EIF_ALGORITHMS) as EifAlgorithm[]).find(
    (name) => EIF_ALGORITHMS[name].cose === number,
  );
  if (algorithm === undefined)
    reject(
      MEASUREMENT_CODES['eif.signature-algorithm'],
      'ES256 (-7), ES384 (-35) or ES512 (-36)',
      header.has(LABEL_ALG) ? describeCbor(number) : 'no algorithm',
    );
  const content = decode(payload, 'signed payload');
  if (!(content instanceof CborMap)) malformed('signed payload as map', describeCbor(content));
  if (content.get('register_index') !== 0)
    malformed('register_index 0', describeCbor(content.get('register_index')));
  const registerValue = vector(content.get('register_value'), 'register_value');
  return {
    algorithm,
    registerValue,
    protectedBytes: new Uint8Array(protectedBytes),
    payload: new Uint8Array(payload),
    signature: new Uint8Array(signature),
  };
}

/**
 * Checks that the certificate's key signed this PCR0. Says nothing about who owns the certificate:
 * pin PCR8 for that. Throws `eif.signature-algorithm`, `eif.signature-pcr0`,
 * `eif.signature-invalid`.
 */
export function checkEifSignature(signed: EifSignature, pcr0: Uint8Array): void {
  const { certificate, algorithm, registerValue, signature } = signed;
  if (certificate.algorithm !== algorithm)
    reject(
      MEASUREMENT_CODES['eif.signature-algorithm'],
      `${certificate.algorithm ?? 'a key on P-256, P-384 or P-521'}, by the certificate's key`,
      algorithm,
    );
  if (!equalBytes(registerValue, pcr0))
    reject(
      MEASUREMENT_CODES['eif.signature-pcr0'],
      `PCR0 ${encodeHex(pcr0)}`,
      encodeHex(registerValue.subarray(0, 64)),
    );
  const { curve, coordinateBytes } = EIF_ALGORITHMS[algorithm];
  if (signature.length !== 2 * coordinateBytes || !verify(curve, signed))
    reject(
      MEASUREMENT_CODES['eif.signature-invalid'],
      `a signature (${algorithm}) by the key of the certificate`,
      'one that does not verify',
    );
}

function verify(curve: keyof typeof CURVES, signed: EifSignature): boolean {
  const options = { lowS: false, prehash: true, format: 'compact' } as const;
  const message = eifSignedBytes(signed.protectedBytes, signed.payload);
  try {
    return CURVES[curve].verify(signed.signature, message, signed.certificate.publicKey, options);
  } catch {
    return false; // the key is no point of its curve
  }
}

/** What is signed: Sig_structure (RFC 9052, 4.4) with empty external data. */
export function eifSignedBytes(protectedBytes: Uint8Array, payload: Uint8Array): Bytes {
  const writer = new ByteWriter().u8(0x84).u8(0x6a).bytes(asciiBytes('Signature1'));
  for (const part of [protectedBytes, new Uint8Array(), payload]) {
    if (part.length < 24) writer.u8(0x40 | part.length);
    else if (part.length < 256) writer.u8(0x58).u8(part.length);
    else writer.u8(0x59).u16(part.length);
    writer.bytes(part);
  }
  return writer.finish();
}

/** A byte vector in either encoding. */
function vector(value: CborValue, field: string): Bytes {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (!Array.isArray(value)) malformed(`${field} as bytes or array`, describeCbor(value));
  const isByte = (item: CborValue): boolean => typeof item === 'number' && item >= 0 && item <= 255;
  if (!value.every(isByte)) malformed(`${field} of bytes`, 'other items');
  return Uint8Array.from(value as readonly number[]);
}

function text(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new AttestationError(MALFORMED, {
      expected: 'signing_certificate as PEM text',
      actual: 'bytes that are not UTF-8',
      cause,
    });
  }
}

function decode(bytes: Uint8Array, what: string): CborValue {
  try {
    return decodeCbor(bytes, what, MAX_ITEMS);
  } catch (cause) {
    if (!(cause instanceof AttestationError)) throw cause;
    const { expected = what, actual = '' } = cause;
    throw new AttestationError(MALFORMED, { expected, actual, cause });
  }
}

function malformed(expected: string, actual: string): never {
  reject(MALFORMED, expected, actual);
}
