/** The curves as BigInt, SP 800-186, 3.2.1.3 and 3.2.1.4. */
export interface CurveNumbers {
  readonly name: 'P-256' | 'P-384';
  readonly algorithm: 'ES256' | 'ES384';
  readonly hash: 'sha256' | 'sha384';
  readonly bytes: number;
  readonly limbs: number;
  /** The argument of the module's functions. */
  readonly p384: 0 | 1;
  readonly p: bigint;
  readonly n: bigint;
  readonly b: bigint;
  readonly g: readonly [bigint, bigint];
}

export const P256: CurveNumbers = {
  name: 'P-256',
  algorithm: 'ES256',
  hash: 'sha256',
  bytes: 32,
  limbs: 10,
  p384: 0,
  p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
  n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  g: [
    0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
    0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
  ],
};

export const P384: CurveNumbers = {
  name: 'P-384',
  algorithm: 'ES384',
  hash: 'sha384',
  bytes: 48,
  limbs: 14,
  p384: 1,
  p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
  n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  g: [
    0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7n,
    0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5fn,
  ],
};

export type Point = readonly [bigint, bigint] | undefined;

export const mod = (a: bigint, m: bigint): bigint => ((a % m) + m) % m;

/** 1 / a mod m by Euclid's algorithm. */
export function invertMod(a: bigint, m: bigint): bigint {
  let [r0, r1, t0, t1] = [m, mod(a, m), 0n, 1n];
  while (r1 !== 0n) {
    const q = r0 / r1;
    [r0, r1, t0, t1] = [r1, r0 - q * r1, t1, t0 - q * t1];
  }
  return mod(t0, m);
}

/** The sum of two points by the textbook's formulas; undefined is infinity. */
export function addPoints(curve: CurveNumbers, a: Point, b: Point): Point {
  if (!a) return b;
  if (!b) return a;
  const { p } = curve;
  if (a[0] === b[0] && mod(a[1] + b[1], p) === 0n) return undefined;
  const slope =
    a[0] === b[0]
      ? (3n * a[0] * a[0] - 3n) * invertMod(2n * a[1], p)
      : (b[1] - a[1]) * invertMod(b[0] - a[0], p);
  const x = mod(slope * slope - a[0] - b[0], p);
  return [x, mod(slope * (a[0] - x) - a[1], p)];
}

/** 1, 2, 4, ... times the base point: most products here are of it. */
const powersOfBase = new Map<CurveNumbers, Point[]>();

export function multiplyPoint(curve: CurveNumbers, scalar: bigint, point: Point): Point {
  let powers: Point[] = [point];
  if (point === curve.g) {
    powers = powersOfBase.get(curve) ?? powers;
    powersOfBase.set(curve, powers);
  }
  let sum: Point;
  for (let i = 0, k = scalar; k > 0n; i++, k >>= 1n) {
    if (i === powers.length) powers.push(addPoints(curve, powers[i - 1], powers[i - 1]));
    if (k & 1n) sum = addPoints(curve, sum, powers[i]);
  }
  return sum;
}

export function toBytes(value: bigint, length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex'));
}

export function fromBytes(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}

/** 04 || x || y */
export function pointBytes(curve: CurveNumbers, point: Point): Uint8Array<ArrayBuffer> {
  if (!point) throw new Error('infinity has no bytes');
  const { bytes } = curve;
  return Uint8Array.from([4, ...toBytes(point[0], bytes), ...toBytes(point[1], bytes)]);
}
