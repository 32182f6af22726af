import { encodeHex } from '../bytes/hex.js';

/** y² = x³ − 3x + b over p (SEC 2 version 2, 2.4.2 and 2.5.1; both curves have a = −3). */
const CURVES: Readonly<
  Record<'P-256' | 'P-384', { readonly p: bigint; readonly b: bigint; readonly bytes: number }>
> = {
  'P-256': {
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    bytes: 32,
  },
  'P-384': {
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    bytes: 48,
  },
};

/**
 * Whether the bytes are an uncompressed point (04 || x || y, SEC 1, 2.3.3) with coordinates below p
 * on the curve. Providers check too; here it gets a code of its own. (Cofactor 1: on the curve is
 * in the group, and infinity has no such form.)
 */
export function isPointOnCurve(curve: 'P-256' | 'P-384', point: Uint8Array): boolean {
  const { p, b, bytes } = CURVES[curve];
  if (point.length !== 1 + 2 * bytes || point[0] !== 4) return false;
  const x = BigInt(`0x${encodeHex(point.subarray(1, 1 + bytes))}`);
  const y = BigInt(`0x${encodeHex(point.subarray(1 + bytes))}`);
  return x < p && y < p && (y * y - (x * x - 3n) * x - b) % p === 0n;
}
