import { p256, p384 } from '@noble/curves/nist.js';
import { describe, expect, it } from 'vitest';
import {
  addPoints,
  type CurveNumbers,
  invertMod,
  mod,
  multiplyPoint,
  P256,
  P384,
  type Point,
  pointBytes,
  toBytes,
} from './test-support/curves.js';
import { Random } from './test-support/random.js';
import { HashVerifier, wasm } from './test-support/shipped.js';

// Signatures that no signer would make, made without a signer: for any point R, any s and any hash
// h, the key Q = (R - (h / s) G) / (x(R) / s) makes (x(R) mod n, s) valid.

type Affine = readonly [bigint, bigint];

const affine = (point: Point): Affine => {
  if (!point) throw new Error('infinity');
  return point;
};

/** A point with the given x, if there is one. p = 3 mod 4 for both curves. */
function withX({ p, b }: CurveNumbers, x: bigint): Affine | undefined {
  const square = mod(x * x * x - 3n * x + b, p);
  let y = 1n;
  for (let base = square, e = (p + 1n) / 4n; e > 0n; e >>= 1n, base = (base * base) % p)
    if (e & 1n) y = (y * base) % p;
  return mod(y * y - square, p) === 0n ? [x, y] : undefined;
}

function firstPoint(curve: CurveNumbers, from: bigint): Affine {
  for (let x = from; ; x++) {
    const point = withX(curve, x);
    if (point) return point;
  }
}

/** FIPS 186-5, 6.4.2, by the textbook. */
function reference(curve: CurveNumbers, h: bigint, q: Affine, r: bigint, s: bigint): boolean {
  const { n, p, b } = curve;
  if (r <= 0n || r >= n || s <= 0n || s >= n) return false;
  if (q[0] >= p || q[1] >= p || mod(q[1] ** 2n - q[0] ** 3n + 3n * q[0] - b, p) !== 0n)
    return false;
  const inverse = invertMod(s, n);
  const sum = addPoints(
    curve,
    multiplyPoint(curve, mod(h * inverse, n), curve.g),
    multiplyPoint(curve, mod(r * inverse, n), q),
  );
  return sum !== undefined && sum[0] % curve.n === r;
}

describe.each([P256, P384])('$name', (curve) => {
  const { p, n, g, bytes } = curve;
  const verifier = new HashVerifier();
  const noble = curve === P256 ? p256 : p384;
  const all = (1n << BigInt(8 * bytes)) - 1n;

  /** The verdict must be `expected`, the textbook's and noble's. */
  function check(
    name: string,
    expected: boolean,
    h: bigint,
    q: Affine,
    r: bigint,
    s: bigint,
  ): void {
    expect(reference(curve, h, q, r, s), `textbook: ${name}`).toBe(expected);
    expect(verifier.verify(curve, h, q, [r, s]), name).toBe(expected);
    // Again: now the key's table is remembered, if it is a key.
    expect(verifier.verify(curve, h, q, [r, s]), `${name}, again`).toBe(expected);
    let third = false;
    try {
      const signature = Uint8Array.from([...toBytes(r, bytes), ...toBytes(s, bytes)]);
      const options = { prehash: false, lowS: false, format: 'compact' } as const;
      third = noble.verify(signature, toBytes(h, bytes), pointBytes(curve, q), options);
    } catch {
      // not a point
    }
    expect(third, `noble: ${name}`).toBe(expected);
  }

  function keyFor(point: Affine, r: bigint, s: bigint, h: bigint): Affine {
    const u1 = mod(h * invertMod(s, n), n);
    const minus = multiplyPoint(curve, mod(-u1, n), g);
    return affine(
      multiplyPoint(curve, mod(s * invertMod(r, n), n), addPoints(curve, point, minus)),
    );
  }

  it('extreme s, hash and r', () => {
    const point = affine(multiplyPoint(curve, 0x1234567n, g));
    const r = mod(point[0], n);
    for (const s of [1n, 2n, n - 1n, n / 2n, n / 2n + 1n, mod(-r, n)])
      for (const h of [1n, all]) {
        if (multiplyPoint(curve, mod(h * invertMod(s, n), n), g)?.[0] === point[0]) continue;
        const q = keyFor(point, r, s, h);
        check(`s ${s}, h ${h}`, true, h, q, r, s);
        check(`3 s + 7, h ${h}`, false, h, q, r, mod(3n * s + 7n, n));
        check(`n - s, h ${h}`, true, h, q, r, n - s);
      }
  });

  it('u1 = 0: the hash is 0 or n', () => {
    const point = affine(multiplyPoint(curve, 77n, g));
    const r = mod(point[0], n);
    for (const h of [0n, n]) {
      const q = keyFor(point, r, 3n, h);
      check(`h ${h}`, true, h, q, r, 3n);
      check(`h ${h} for another s`, false, h, q, r, 5n);
    }
    // With the base point itself as the key.
    check('Q = G', true, 0n, g, mod(g[0], n), mod(g[0], n));
  });

  it('u2 Q = u1 G, and u2 Q = -u1 G', () => {
    const random = new Random(bytes);
    for (const k of [1n, n - 1n, 2n, 12345n, 1n << BigInt(2 * bytes)]) {
      const q = affine(multiplyPoint(curve, k, g));
      for (const u1 of [1n, 2n, random.big(n - 1n) + 1n]) {
        // R = 2 u1 G, r = x(R): then s = r / u2 and h = u1 s.
        const u2 = mod(u1 * invertMod(k, n), n);
        const r = mod(affine(multiplyPoint(curve, 2n * u1, g))[0], n);
        const s = mod(r * invertMod(u2, n), n);
        check(`sum of equals, k ${k}, u1 ${u1}`, true, mod(u1 * s, n), q, r, s);
        // The sum is infinity: no r is right.
        for (const wrong of [r, 1n, n - 1n]) {
          const s2 = mod(wrong * invertMod(mod(-u2, n), n), n);
          check(`sum is infinity, k ${k}, u1 ${u1}`, false, mod(u1 * s2, n), q, wrong, s2);
        }
      }
    }
  });

  it('the sum is infinity, and r the x of the last point that was added', () => {
    // The last addition cancels everything, so before it the sum was the negative of a point of the
    // key's table. What is left over from that sum must not be compared with r.
    const random = new Random(3);
    const k = 12345n;
    const q = affine(multiplyPoint(curve, k, g));
    for (const segment of [0, 1, 2, 3])
      for (const multiple of [1n, 3n, 5n, 7n, 9n, 11n, 13n, 15n]) {
        const scalar = multiple << BigInt(2 * bytes * segment);
        const r = mod(affine(multiplyPoint(curve, scalar, q))[0], n);
        const h = mod(-k * r, n); // u1 G + u2 Q = (h / s + r k / s) G
        for (let i = 0; i < 40; i++)
          expect(verifier.verify(curve, h, q, [r, random.big(n - 1n) + 1n])).toBe(false);
      }
  });

  it('r + n < p: the x of the sum is r + n', () => {
    for (const from of [n, n + 1n, p - 200n]) {
      const point = firstPoint(curve, from);
      expect(point[0] >= n && point[0] < p).toBe(true);
      const r = point[0] - n;
      if (r === 0n) continue;
      const q = keyFor(point, r, 7n, 11n);
      check(`x = ${point[0]}`, true, 11n, q, r, 7n);
      check('another hash', false, 12n, q, r, 7n);
    }
    // The same range of r, but x = r.
    const small = firstPoint(curve, 1n);
    check('x = r', true, 11n, keyFor(small, small[0], 7n, 11n), small[0], 7n);
  });

  it('r + n >= p must not be taken mod p', () => {
    // x = r + n - p: equal to r + n mod p, but not to r mod n.
    const point = firstPoint(curve, 1n);
    const r = point[0] + p - n;
    expect(r < n).toBe(true);
    const u2 = 5n;
    const s = mod(r * invertMod(u2, n), n);
    const h = 11n;
    const u1 = mod(h * invertMod(s, n), n);
    const minus = multiplyPoint(curve, mod(-u1, n), g);
    const q = affine(multiplyPoint(curve, invertMod(u2, n), addPoints(curve, point, minus)));
    check('r = x + p - n', false, h, q, r, s);
    check('r = x', false, h, q, point[0], s);
  });

  it('x of the sum is 0: r would be 0', () => {
    const point = withX(curve, 0n);
    if (!point) throw new Error('both curves have such a point');
    const q = affine(addPoints(curve, point, multiplyPoint(curve, n - 1n, g)));
    check('r = 0', false, 1n, q, 0n, 1n);
    check('r = n', false, 1n, q, n, 1n);
  });

  it('r and s out of range', () => {
    const q = affine(multiplyPoint(curve, 99n, g));
    const point = affine(multiplyPoint(curve, 77n, g));
    const r = mod(point[0], n);
    const good = keyFor(point, r, 1n, 11n);
    check('valid', true, 11n, good, r, 1n);
    for (const value of [0n, n, n + 1n, p, all]) {
      check(`r ${value}`, false, 11n, good, value, 1n);
      check(`s ${value}`, false, 11n, good, r, value);
      check(`both ${value}`, false, 11n, good, value, value);
    }
    for (const value of [1n, n - 1n]) {
      check(`r ${value}`, false, 11n, q, value, 1n);
      check(`s ${value}`, false, 11n, q, r, value);
    }
    if (r + n <= all) check('r + n', false, 11n, good, r + n, 1n);
    check('s + n', false, 11n, good, r, n + 1n);
  });

  it('keys that are not points, and coordinates of p or more', () => {
    const small = firstPoint(curve, 0n);
    expect(small[0] + p <= all).toBe(true);
    const r = mod(affine(multiplyPoint(curve, 77n, g))[0], n);
    // Q = small is valid for R = u1 G + u2 Q with s = r / u2.
    const sum = affine(
      addPoints(curve, multiplyPoint(curve, 3n, g), multiplyPoint(curve, 5n, small)),
    );
    const rOfSum = mod(sum[0], n);
    const s = mod(rOfSum * invertMod(5n, n), n);
    const h = mod(3n * s, n);
    check('valid', true, h, small, rOfSum, s);
    check('x + p', false, h, [small[0] + p, small[1]], rOfSum, s);
    check('-y', false, h, [small[0], p - small[1]], rOfSum, s);
    check('y + 1', false, h, [small[0], small[1] + 1n], rOfSum, s);
    for (const key of [
      [0n, 0n],
      [0n, 1n],
      [p, 0n],
      [p, p],
      [all, all],
      [g[0], 0n],
      [g[1], g[0]],
    ] as const)
      check(`key ${key}`, false, h, key, r, s);
    // A point of the other curve, and one of y^2 = x^3 - 3x + b + 1.
    const twist = firstPoint({ ...curve, b: curve.b + 1n }, 2n);
    check('another curve', false, h, twist, rOfSum, s);
  });

  it('other forms of a key are refused', () => {
    const { sync } = wasm();
    const key = pointBytes(curve, g);
    const signature = new Uint8Array(2 * bytes).fill(1);
    const forms = [
      new Uint8Array(0),
      new Uint8Array(1), // infinity (SEC 1, 2.3.3)
      new Uint8Array(1 + 2 * bytes),
      Uint8Array.from([2 + Number(g[1] & 1n), ...key.subarray(1, 1 + bytes)]),
      Uint8Array.from([6 + Number(g[1] & 1n), ...key.subarray(1)]),
      key.subarray(1),
      Uint8Array.from([...key, 0]),
    ];
    for (const form of forms)
      expect(sync.verify(curve.algorithm, form, new Uint8Array(1), signature)).toBe(false);
  });
});
