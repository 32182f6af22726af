import type { ByteReader, Bytes, ByteWriter } from 'tee-verify/bytes';
import { concatBytes, copyBytes } from 'tee-verify/bytes';
import { TPM_ALG } from './constants.js';
import { hexNumber, readStructure, refuse, written } from './read-structure.js';

/** An ECDSA signature (TPMS_SIGNATURE_ECDSA): r and s as big-endian numbers. */
export interface EcdsaSignature {
  readonly type: 'ecdsa';
  readonly hashAlgorithm: number;
  readonly r: Uint8Array;
  readonly s: Uint8Array;
}

/** An RSA signature (TPMS_SIGNATURE_RSA). */
export interface RsaSignature {
  readonly type: 'rsassa' | 'rsapss';
  readonly hashAlgorithm: number;
  readonly signature: Uint8Array;
}

/** TPMT_SIGNATURE of the schemes used here (Part 2, 11.3.4). */
export type TpmtSignature = EcdsaSignature | RsaSignature;

/** The bytes of a TPMT_SIGNATURE. */
export function encodeSignature(signature: TpmtSignature): Bytes {
  return written((writer) => writeSignature(writer, signature));
}

/** Reads a TPMT_SIGNATURE. @throws ToolError `tpm.structure-invalid` */
export function decodeSignature(bytes: Uint8Array): TpmtSignature {
  return readStructure(bytes, 'TPMT_SIGNATURE', readSignature);
}

export function writeSignature(writer: ByteWriter, signature: TpmtSignature): ByteWriter {
  if (signature.type === 'ecdsa')
    return writer
      .u16(TPM_ALG.ECDSA)
      .u16(signature.hashAlgorithm)
      .sized16(signature.r)
      .sized16(signature.s);
  return writer
    .u16(signature.type === 'rsassa' ? TPM_ALG.RSASSA : TPM_ALG.RSAPSS)
    .u16(signature.hashAlgorithm)
    .sized16(signature.signature);
}

export function readSignature(reader: ByteReader): TpmtSignature {
  const algorithm = reader.u16('sigAlg');
  const known = [TPM_ALG.ECDSA, TPM_ALG.RSASSA, TPM_ALG.RSAPSS] as readonly number[];
  if (!known.includes(algorithm))
    refuse(reader, 'sigAlg', 'ECDSA, RSASSA or RSAPSS', hexNumber(algorithm));
  const hashAlgorithm = reader.u16('hash');
  if (algorithm === TPM_ALG.ECDSA)
    return {
      type: 'ecdsa',
      hashAlgorithm,
      r: copyBytes(reader.sized16('signatureR', 66)),
      s: copyBytes(reader.sized16('signatureS', 66)),
    };
  return {
    type: algorithm === TPM_ALG.RSASSA ? 'rsassa' : 'rsapss',
    hashAlgorithm,
    signature: copyBytes(reader.sized16('signature', 512)),
  };
}

/** The signature as DER: SEQUENCE { INTEGER r, INTEGER s } in minimal form (RFC 3279, 2.2.3). */
export function ecdsaToDer(signature: EcdsaSignature): Bytes {
  const body = concatBytes(derInteger(signature.r), derInteger(signature.s));
  return concatBytes(new Uint8Array([0x30, body.length]), body);
}

/** Zero bytes in front up to `size`; a longer number loses leading zeros only. */
export function leftPad(value: Uint8Array, size: number): Bytes {
  const trimmed = trimLeadingZeros(value);
  const padded = new Uint8Array(Math.max(size, trimmed.length));
  padded.set(trimmed, padded.length - trimmed.length);
  return padded;
}

function derInteger(value: Uint8Array): Bytes {
  const digits = trimLeadingZeros(value);
  const sign = digits.length === 0 || (digits[0] as number) >= 0x80 ? 1 : 0;
  const encoded = new Uint8Array(2 + sign + digits.length);
  encoded[0] = 0x02;
  encoded[1] = sign + digits.length;
  encoded.set(digits, 2 + sign);
  return encoded;
}

function trimLeadingZeros(value: Uint8Array): Uint8Array {
  let from = 0;
  while (from < value.length && value[from] === 0) from++;
  return value.subarray(from);
}
