import { ByteReader } from '../bytes/byte-reader.js';
import { concatBytes } from '../bytes/bytes.js';
import { reject } from '../result/attestation-error.js';
import { OBJECT_ATTRIBUTES, TPM } from './constants.js';

/** A TPMT_PUBLIC of an ECC P-256 key (TPM 2.0 Library, Part 2, 12.2.4). */
export interface EccPublic {
  readonly nameAlg: number;
  /** TPMA_OBJECT. */
  readonly attributes: number;
  /** Signing scheme and its hash (TPM_ALG_NULL when the key leaves it open). */
  readonly scheme: number;
  readonly schemeHash: number | undefined;
  /** 04 || x || y, 65 bytes. */
  readonly point: Uint8Array;
}

const COORDINATE_BYTES = 32;
const CODES = { truncated: 'quote.ak-malformed', trailing: 'quote.ak-malformed' } as const;

/** Reads the TPMT_PUBLIC of an attestation key. Throws `quote.ak-malformed`. */
export function parseEccPublic(bytes: Uint8Array): EccPublic {
  const reader = new ByteReader(bytes, 'TPMT_PUBLIC', CODES);
  const must = (field: string, actual: number, expected: number): void => {
    if (actual !== expected)
      reader.fail(
        'quote.ak-malformed',
        field,
        `0x${expected.toString(16)}`,
        `0x${actual.toString(16)}`,
      );
  };
  must('type', reader.u16('type'), TPM.ALG_ECC);
  const nameAlg = reader.u16('nameAlg');
  const attributes = reader.u32('objectAttributes');
  reader.sized16('authPolicy', 64);
  // TPMS_ECC_PARMS (12.2.3.6): a signing key has no symmetric algorithm.
  must('symmetric', reader.u16('symmetric'), TPM.ALG_NULL);
  const scheme = reader.u16('scheme');
  const schemeHash = scheme === TPM.ALG_NULL ? undefined : reader.u16('scheme hash');
  must('curveID', reader.u16('curveID'), TPM.ECC_NIST_P256);
  must('kdf', reader.u16('kdf'), TPM.ALG_NULL);
  const x = reader.sized16('x', COORDINATE_BYTES);
  const y = reader.sized16('y', COORDINATE_BYTES);
  reader.end();
  return {
    nameAlg,
    attributes,
    scheme,
    schemeHash,
    point: concatBytes(Uint8Array.of(4), padded(x), padded(y)),
  };
}

/** TPMs may drop leading zero bytes of a coordinate. */
function padded(coordinate: Uint8Array): Uint8Array {
  return concatBytes(new Uint8Array(COORDINATE_BYTES - coordinate.length), coordinate);
}

/**
 * A key with these attributes lives in one TPM and signs only what the TPM itself made (8.3.3):
 * any other could sign a forged TPMS_ATTEST. Throws `quote.ak-attributes`.
 */
export function checkAttestationKey(key: EccPublic): void {
  const needed = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign'] as const;
  const lacking = needed.filter((name) => (key.attributes & OBJECT_ATTRIBUTES[name]) === 0);
  const decrypts = (key.attributes & OBJECT_ATTRIBUTES.decrypt) !== 0;
  const ecdsaSha256 = key.scheme === TPM.ALG_ECDSA && key.schemeHash === TPM.ALG_SHA256;
  if (lacking.length > 0 || decrypts || !ecdsaSha256)
    reject(
      'quote.ak-attributes',
      `${needed.join(', ')}, not decrypt, scheme ECDSA with SHA-256`,
      [
        ...lacking.map((name) => `not ${name}`),
        ...(decrypts ? ['decrypt'] : []),
        ...(ecdsaSha256 ? [] : [`scheme 0x${key.scheme.toString(16)}`]),
      ].join(', '),
    );
}
