import { concatBytes } from '../../src/bytes/bytes.js';
import { children, contentsOf, sequence, unsignedInteger } from './raw-der.js';

/** ECDSA keys and signatures in both of their shapes, with the freedom to spoil them. */
export type Curve = 'P-256' | 'P-384';

/** Orders of the groups (SEC 2, 2.4.2 and 2.5.1). */
export const ORDER: Readonly<Record<Curve, bigint>> = {
  'P-256': 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  'P-384':
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
};

export const generateKeys = (curve: Curve): Promise<CryptoKeyPair> =>
  crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: curve }, true, ['sign', 'verify']);

/** 04 || x || y */
export const publicPoint = async (keys: CryptoKeyPair): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await crypto.subtle.exportKey('raw', keys.publicKey));

/** r || s */
export const signRaw = async (
  key: CryptoKey,
  message: Uint8Array,
  hash: 'SHA-256' | 'SHA-384',
): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(
    await crypto.subtle.sign({ name: 'ECDSA', hash }, key, message as Uint8Array<ArrayBuffer>),
  );

/** SEQUENCE { INTEGER r, INTEGER s } of r || s. */
export function rawToDer(signature: Uint8Array): Uint8Array<ArrayBuffer> {
  const half = signature.length / 2;
  return sequence(
    unsignedInteger(signature.subarray(0, half)),
    unsignedInteger(signature.subarray(half)),
  );
}

/** r || s of a DER signature. */
export function derToRaw(signature: Uint8Array, curve: Curve): Uint8Array<ArrayBuffer> {
  const size = curve === 'P-256' ? 32 : 48;
  const [r, s] = children(signature).map((item) => toBytes(toBigInt(contentsOf(item)), size));
  return concatBytes(r as Uint8Array, s as Uint8Array);
}

export function toBigInt(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

export function toBytes(value: bigint, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let rest = value;
  for (let i = size - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** The other valid signature over the same message: (r, n - s). */
export function twin(signature: Uint8Array, curve: Curve): Uint8Array<ArrayBuffer> {
  const half = signature.length / 2;
  const s = toBigInt(signature.subarray(half));
  return concatBytes(signature.subarray(0, half), toBytes(ORDER[curve] - s, half));
}

/** r || s with one of the two replaced by a number. */
export function replaceHalf(
  signature: Uint8Array,
  which: 'r' | 's',
  value: bigint,
): Uint8Array<ArrayBuffer> {
  const half = signature.length / 2;
  const number = toBytes(value, half);
  return which === 'r'
    ? concatBytes(number, signature.subarray(half))
    : concatBytes(signature.subarray(0, half), number);
}

/** A copy with one bit turned over. */
export function flipBit(bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (0x80 >> (bit & 7));
  return copy;
}
