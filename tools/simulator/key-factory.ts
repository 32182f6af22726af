import {
  constants,
  createHash,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';
import { p256, p384 } from '@noble/curves/nist.js';
import { type Bytes, decodeBase64, encodeHex } from 'tee-verify/bytes';
import { DIGEST_SIZES, HASH_NAMES, TPM_ALG, TPM_ECC, TPMA_OBJECT } from '../agent/tpm/constants.js';
import { kdfA } from '../agent/tpm/kdf-a.js';
import { inHandle, TPM_RC } from '../agent/tpm/response-code.js';
import {
  type EccPublic,
  encodePublic,
  type RsaPublic,
  type TpmtPublic,
} from '../agent/tpm/tpmt-public.js';
import type { EcdsaSignature } from '../agent/tpm/tpmt-signature.js';
import { allBits } from './attribute-bits.js';
import { fail } from './tpm-failure.js';
import { type TpmObject, TpmState } from './tpm-state.js';

const OBJECT_BITS = allBits(TPMA_OBJECT);
const CURVES = {
  [TPM_ECC.NIST_P256]: { curve: p256, size: 32 },
  [TPM_ECC.NIST_P384]: { curve: p384, size: 48 },
} as const;

function curveOf(id: number): (typeof CURVES)[keyof typeof CURVES] | undefined {
  return CURVES[id as keyof typeof CURVES];
}

/** A code about the template, or undefined when the simulated TPM can make such a key. */
export function checkTemplate(area: TpmtPublic): number | undefined {
  const has = (bit: number): boolean => (area.objectAttributes & bit) !== 0;
  const { restricted, sign, decrypt, fixedTPM, fixedParent, sensitiveDataOrigin } = TPMA_OBJECT;
  if (HASH_NAMES[area.nameAlgorithm] === undefined) return TPM_RC.HASH;
  if ((area.objectAttributes & ~OBJECT_BITS) !== 0) return TPM_RC.RESERVED_BITS;
  if (area.authPolicy.length > 0 && area.authPolicy.length !== DIGEST_SIZES[area.nameAlgorithm])
    return TPM_RC.SIZE;
  // Part 2, 8.3.3: what the attributes demand of each other in a primary key.
  if (has(fixedTPM) !== has(fixedParent)) return TPM_RC.ATTRIBUTES;
  if (!has(sensitiveDataOrigin)) return TPM_RC.ATTRIBUTES;
  if (has(restricted) && has(sign) === has(decrypt)) return TPM_RC.ATTRIBUTES;
  if (!has(sign) && !has(decrypt)) return TPM_RC.ATTRIBUTES;
  if ((area.symmetric !== null) !== (has(restricted) && has(decrypt))) return TPM_RC.SYMMETRIC;
  if (area.symmetric !== null && area.symmetric.algorithm !== TPM_ALG.AES) return TPM_RC.SYMMETRIC;
  if (has(restricted) && has(sign) && area.scheme === null) return TPM_RC.SCHEME;
  if (area.type === 'rsa') {
    if (area.keyBits !== 2048) return TPM_RC.VALUE;
    if (area.exponent !== 0 && area.exponent !== 65537) return TPM_RC.RANGE;
    // This simulator signs with ECC keys only.
    return has(sign) ? TPM_RC.SCHEME : undefined;
  }
  if (curveOf(area.curve) === undefined) return TPM_RC.CURVE;
  if (area.kdf !== null) return TPM_RC.KDF;
  if (area.scheme !== null) {
    if (has(sign) && area.scheme.scheme !== TPM_ALG.ECDSA) return TPM_RC.SCHEME;
    if (HASH_NAMES[area.scheme.hashAlgorithm ?? 0] === undefined) return TPM_RC.HASH;
  }
  return undefined;
}

/** Makes a primary key: the same template in the same hierarchy gives the same key. */
export async function makePrimary(
  state: TpmState,
  hierarchy: number,
  template: TpmtPublic,
  authValue: Uint8Array,
): Promise<TpmObject> {
  const { publicArea, secret } =
    template.type === 'ecc'
      ? makeEcc(state, hierarchy, template)
      : await makeRsa(state, hierarchy, template);
  const qualifiedName = TpmState.qualifiedName(hierarchy, publicArea);
  return { publicArea, hierarchy, authValue, secret, qualifiedName };
}

function makeEcc(
  state: TpmState,
  hierarchy: number,
  template: EccPublic,
): Pick<TpmObject, 'publicArea' | 'secret'> {
  const { curve, size } = curveOf(template.curve) as NonNullable<ReturnType<typeof curveOf>>;
  const digest = createHash('sha256').update(encodePublic(template)).digest();
  // 64 bits more than the order, so that the remainder is even (FIPS 186-5, A.2.1).
  const bits = (size + 8) * 8;
  const seed = state.hierarchySeed(hierarchy);
  const wide = kdfA(TPM_ALG.SHA256, seed, 'PRIMARY', digest, new Uint8Array(0), bits);
  const number = (BigInt(`0x${encodeHex(wide)}`) % (curve.Point.Fn.ORDER - 1n)) + 1n;
  const scalar = toBytes(number, size);
  const point = curve.getPublicKey(scalar, false);
  return {
    publicArea: {
      ...template,
      x: point.slice(1, 1 + size),
      y: point.slice(1 + size),
    },
    secret: { scalar },
  };
}

async function makeRsa(
  state: TpmState,
  hierarchy: number,
  template: RsaPublic,
): Promise<Pick<TpmObject, 'publicArea' | 'secret'>> {
  const id = `${hierarchy}:${encodeHex(encodePublic({ ...template, modulus: new Uint8Array(0) }))}`;
  let key = state.rsaKeys.get(id);
  if (key === undefined) {
    key = generateRsa();
    state.rsaKeys.set(id, key);
  }
  const rsa = await key;
  const modulus = decodeBase64(rsa.export({ format: 'jwk' }).n ?? '') as Bytes;
  return { publicArea: { ...template, modulus }, secret: { rsa } };
}

function generateRsa(): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    generateKeyPair('rsa', { modulusLength: 2048 }, (error, _, privateKey) => {
      if (error === null) resolve(privateKey);
      else reject(error);
    });
  });
}

/** Signs a digest with ECDSA. `position` is the number of the key's handle in the command. */
export function signDigest(
  object: TpmObject,
  hashAlgorithm: number,
  digest: Uint8Array,
  position: number,
): EcdsaSignature {
  const { publicArea, secret } = object;
  if (publicArea.type !== 'ecc' || !('scalar' in secret))
    return fail(inHandle(TPM_RC.KEY, position));
  const { curve, size } = curveOf(publicArea.curve) as NonNullable<ReturnType<typeof curveOf>>;
  // TPMs do not normalise s; lowS off keeps half of the signatures "high", as real ones are.
  const signature = curve.sign(digest, secret.scalar, { prehash: false, lowS: false });
  return {
    type: 'ecdsa',
    hashAlgorithm,
    r: signature.slice(0, size),
    s: signature.slice(size),
  };
}

/** Decrypts the salt of a session (Part 1, B.10.2), or undefined. */
export function decryptSalt(object: TpmObject, encrypted: Uint8Array): Bytes | undefined {
  if (!('rsa' in object.secret)) return undefined;
  try {
    return new Uint8Array(
      privateDecrypt(
        {
          key: object.secret.rsa,
          padding: constants.RSA_PKCS1_OAEP_PADDING,
          oaepHash: HASH_NAMES[object.publicArea.nameAlgorithm] as string,
          oaepLabel: new TextEncoder().encode('SECRET\0'),
        },
        encrypted,
      ),
    );
  } catch {
    return undefined;
  }
}

function toBytes(value: bigint, size: number): Bytes {
  const hex = value.toString(16).padStart(size * 2, '0');
  return Uint8Array.from({ length: size }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}
