import type { ByteReader, Bytes, ByteWriter } from 'tee-verify/bytes';
import { copyBytes } from 'tee-verify/bytes';
import { TPM_ALG, TPM_ECC, TPMA_OBJECT } from './constants.js';
import { hexNumber, refuse, written } from './read-structure.js';

/** A symmetric algorithm of a key or session (TPMT_SYM_DEF), or null for none. */
export interface SymmetricDefinition {
  readonly algorithm: number;
  readonly keyBits: number;
  readonly mode: number;
}

/** A signing or encryption scheme, or null for "chosen at use". RSAES has no hash. */
export interface Scheme {
  readonly scheme: number;
  readonly hashAlgorithm?: number;
}

interface PublicCommon {
  /** TPM_ALG of the object's name. */
  readonly nameAlgorithm: number;
  /** Bits of `TPMA_OBJECT`. */
  readonly objectAttributes: number;
  readonly authPolicy: Uint8Array;
  readonly symmetric: SymmetricDefinition | null;
  readonly scheme: Scheme | null;
}

/** Public area of an ECC key; x and y are empty in a template. */
export interface EccPublic extends PublicCommon {
  readonly type: 'ecc';
  readonly curve: number;
  readonly kdf: Scheme | null;
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

/** Public area of an RSA key; an exponent of 0 means 65537. */
export interface RsaPublic extends PublicCommon {
  readonly type: 'rsa';
  readonly keyBits: number;
  readonly exponent: number;
  readonly modulus: Uint8Array;
}

/** TPMT_PUBLIC of the two kinds of key that attestation uses (Part 2, 12.2.4). */
export type TpmtPublic = EccPublic | RsaPublic;

/** The bytes of a TPMT_PUBLIC, without the size of a TPM2B. */
export function encodePublic(area: TpmtPublic): Bytes {
  return written((writer) => writePublic(writer, area));
}

export function writePublic(writer: ByteWriter, area: TpmtPublic): ByteWriter {
  writer
    .u16(area.type === 'ecc' ? TPM_ALG.ECC : TPM_ALG.RSA)
    .u16(area.nameAlgorithm)
    .u32(area.objectAttributes)
    .sized16(area.authPolicy);
  writeSymmetric(writer, area.symmetric);
  writeScheme(writer, area.scheme);
  if (area.type === 'ecc') {
    writer.u16(area.curve);
    writeScheme(writer, area.kdf);
    return writer.sized16(area.x).sized16(area.y);
  }
  return writer.u16(area.keyBits).u32(area.exponent).sized16(area.modulus);
}

export function readPublic(reader: ByteReader): TpmtPublic {
  const type = reader.u16('type');
  if (type !== TPM_ALG.ECC && type !== TPM_ALG.RSA)
    refuse(reader, 'type', 'RSA (0x0001) or ECC (0x0023)', hexNumber(type));
  const common = {
    nameAlgorithm: reader.u16('nameAlg'),
    objectAttributes: reader.u32('objectAttributes'),
    authPolicy: copyBytes(reader.sized16('authPolicy', 64)),
    symmetric: readSymmetric(reader),
    scheme: readScheme(reader, 'scheme'),
  };
  if (type === TPM_ALG.ECC)
    return {
      type: 'ecc',
      ...common,
      curve: reader.u16('curveID'),
      kdf: readScheme(reader, 'kdf'),
      x: copyBytes(reader.sized16('x', 66)),
      y: copyBytes(reader.sized16('y', 66)),
    };
  return {
    type: 'rsa',
    ...common,
    keyBits: reader.u16('keyBits'),
    exponent: reader.u32('exponent'),
    modulus: copyBytes(reader.sized16('modulus', 512)),
  };
}

/** TPMT_SYM_DEF and TPMT_SYM_DEF_OBJECT (Part 2, 11.1.6). */
export function writeSymmetric(
  writer: ByteWriter,
  symmetric: SymmetricDefinition | null,
): ByteWriter {
  if (symmetric === null) return writer.u16(TPM_ALG.NULL);
  return writer.u16(symmetric.algorithm).u16(symmetric.keyBits).u16(symmetric.mode);
}

export function readSymmetric(reader: ByteReader): SymmetricDefinition | null {
  const algorithm = reader.u16('symmetric algorithm');
  if (algorithm === TPM_ALG.NULL) return null;
  return {
    algorithm,
    keyBits: reader.u16('symmetric keyBits'),
    mode: reader.u16('symmetric mode'),
  };
}

/** TPMT_SIG_SCHEME, TPMT_RSA_SCHEME, TPMT_ECC_SCHEME and TPMT_KDF_SCHEME (Part 2, 11.2). */
export function writeScheme(writer: ByteWriter, scheme: Scheme | null): ByteWriter {
  if (scheme === null) return writer.u16(TPM_ALG.NULL);
  writer.u16(scheme.scheme);
  return scheme.hashAlgorithm === undefined ? writer : writer.u16(scheme.hashAlgorithm);
}

export function readScheme(reader: ByteReader, field: string): Scheme | null {
  const scheme = reader.u16(field);
  if (scheme === TPM_ALG.NULL) return null;
  if (scheme === TPM_ALG.RSAES) return { scheme };
  return { scheme, hashAlgorithm: reader.u16(`${field} hash`) };
}

const SIGNING_ATTRIBUTES =
  TPMA_OBJECT.fixedTPM |
  TPMA_OBJECT.fixedParent |
  TPMA_OBJECT.sensitiveDataOrigin |
  TPMA_OBJECT.userWithAuth |
  TPMA_OBJECT.restricted |
  TPMA_OBJECT.sign;

/** The attestation key: ECC P-256, ECDSA with SHA-256, restricted to what the TPM itself made. */
export const AK_TEMPLATE: EccPublic = {
  type: 'ecc',
  nameAlgorithm: TPM_ALG.SHA256,
  objectAttributes: SIGNING_ATTRIBUTES,
  authPolicy: new Uint8Array(0),
  symmetric: null,
  scheme: { scheme: TPM_ALG.ECDSA, hashAlgorithm: TPM_ALG.SHA256 },
  curve: TPM_ECC.NIST_P256,
  kdf: null,
  x: new Uint8Array(0),
  y: new Uint8Array(0),
};

/** PolicySecret of the endorsement hierarchy, "PolicyA" (TCG EK Credential Profile, B.3). */
const EK_POLICY = new Uint8Array([
  0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
  0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
]);

/** The default RSA-2048 endorsement key (TCG EK Credential Profile, template L-1). */
export const RSA_EK_TEMPLATE: RsaPublic = {
  type: 'rsa',
  nameAlgorithm: TPM_ALG.SHA256,
  objectAttributes:
    TPMA_OBJECT.fixedTPM |
    TPMA_OBJECT.fixedParent |
    TPMA_OBJECT.sensitiveDataOrigin |
    TPMA_OBJECT.adminWithPolicy |
    TPMA_OBJECT.restricted |
    TPMA_OBJECT.decrypt,
  authPolicy: EK_POLICY,
  symmetric: { algorithm: TPM_ALG.AES, keyBits: 128, mode: TPM_ALG.CFB },
  scheme: null,
  keyBits: 2048,
  exponent: 0,
  modulus: new Uint8Array(256),
};
