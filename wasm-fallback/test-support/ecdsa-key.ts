import { createECDH, createHash, createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { type CurveNumbers, toBytes } from './curves.js';

/** A key pair made from a seed, so that a failing case can be run again. */
export interface EcdsaKey {
  readonly curve: CurveNumbers;
  /** 04 || x || y */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly privateKey: KeyObject;
}

const OPENSSL_NAMES = { 'P-256': 'prime256v1', 'P-384': 'secp384r1' } as const;

export function ecdsaKey(curve: CurveNumbers, seed: string): EcdsaKey {
  const digest = createHash('sha512').update(seed).digest('hex');
  const secret = toBytes((BigInt(`0x${digest}`) % (curve.n - 1n)) + 1n, curve.bytes);
  const ecdh = createECDH(OPENSSL_NAMES[curve.name]);
  ecdh.setPrivateKey(secret);
  const publicKey = Uint8Array.from(ecdh.getPublicKey());
  const privateKey = createPrivateKey({
    format: 'jwk',
    key: { ...jwk(curve, publicKey), d: Buffer.from(secret).toString('base64url') },
  });
  return { curve, publicKey, privateKey };
}

/** The JSON Web Key of 04 || x || y. */
export function jwk(
  curve: CurveNumbers,
  publicKey: Uint8Array,
): { kty: string; crv: string; x: string; y: string } {
  const text = (from: number) =>
    Buffer.from(publicKey.subarray(from, from + curve.bytes)).toString('base64url');
  return { kty: 'EC', crv: curve.name, x: text(1), y: text(1 + curve.bytes) };
}

/** r || s */
export function signWith(key: EcdsaKey, message: Uint8Array): Uint8Array<ArrayBuffer> {
  const options = { key: key.privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return Uint8Array.from(sign(key.curve.hash, message, options));
}
