import { beforeAll, describe, expect, it } from 'vitest';
import {
  addPoints,
  invertMod,
  mod,
  multiplyPoint,
  P256,
  P384,
  type Point,
} from './test-support/curves.js';
import { Layers, VECTOR } from './test-support/layers.js';
import { Random } from './test-support/random.js';

// Each layer of the module against BigInt, in a build that exports them.

describe.each([P256, P384])('$name', (curve) => {
  const { p, n, b, limbs, bytes } = curve;
  const bits = 8 * bytes;
  let layers: Layers;
  beforeAll(async () => {
    layers = await Layers.build(curve);
  });

  /** The top limb of p is smaller than 2^28: so is that of anything below a few p. */
  const topEnd = 12 * 2 ** (bits - 28 * (limbs - 1));
  /** Limbs at or near both ends of [-factor 2^28, factor 2^28], or anywhere between. */
  const extremeLimbs = (random: Random, factor: number): number[] => {
    const style = random.integer(4);
    return Array.from({ length: limbs }, (_, i) => {
      const end = i < limbs - 1 ? factor * 2 ** 28 - 1 : topEnd;
      if (style === 0) return end;
      if (style === 1) return i % 2 ? end : -end;
      if (style === 2) return random.pick([end, -end, 0, 1, -1]);
      return (random.integer(2) ? 1 : -1) * Math.min(random.integer(2 ** 32), end);
    });
  };

  it('multiplies and squares, subtracts shifted vectors, at the limits of the limbs', () => {
    const random = new Random(1);
    const [out, x, y, z] = [0, 1, 2, 3].map((i) => layers.at(i)) as [
      number,
      number,
      number,
      number,
    ];
    const { ec, R } = layers;
    for (let round = 0; round < 3000; round++) {
      const [factorA, factorB] = random.pick([
        [1, 1],
        [7, 1],
        [1, 7],
        [4, 2],
        [3, 3],
      ]) as [number, number];
      const valueA = layers.setLimbs(x, extremeLimbs(random, factorA));
      const valueB = layers.setLimbs(y, extremeLimbs(random, factorB));
      const valueC = layers.setLimbs(z, extremeLimbs(random, 1));
      const shift = random.pick([0, 1, 3]);
      const subtrahend = valueC << BigInt(shift);
      const check = (product: bigint, minus: bigint): void => {
        const value = layers.get(out);
        expect(layers.isNormal(out)).toBe(true);
        expect(mod((value + minus) * R - product, p)).toBe(0n);
        // (product + q p) / R with 0 <= q < R
        const q = ((value + minus) * R - product) / p;
        expect(q >= 0n && q < R).toBe(true);
      };
      ec.mul(out, x, y);
      check(valueA * valueB, 0n);
      ec.mulSub(out, x, y, z, BigInt(shift));
      check(valueA * valueB, subtrahend);
      const squared = factorA <= 3 ? x : y;
      const valueS = layers.get(squared);
      if (Math.min(factorA, factorB) > 3) continue;
      ec.sqr(out, squared);
      check(valueS * valueS, 0n);
      ec.sqrSub(out, squared, z, BigInt(shift));
      check(valueS * valueS, subtrahend);
    }
  });

  it('adds and subtracts limb by limb', () => {
    const random = new Random(2);
    const [out, x, y] = [0, 1, 2].map((i) => layers.at(i)) as [number, number, number];
    for (let round = 0; round < 500; round++) {
      const valueX = layers.setLimbs(x, extremeLimbs(random, 2));
      const valueY = layers.setLimbs(y, extremeLimbs(random, 1));
      layers.ec.addShl(out, x, y, 2);
      expect(layers.get(out)).toBe(valueX + (valueY << 2n));
      layers.ec.shlSub(out, y, 2, x);
      expect(layers.get(out)).toBe((valueY << 2n) - valueX);
      for (const sign of [1, -1]) {
        layers.ec.addSigned(out, x, y, sign);
        expect(layers.get(out)).toBe(valueX + BigInt(sign) * valueY);
        expect(layers.isNormal(out)).toBe(true);
      }
    }
  });

  it('lets the result take the place of an operand', () => {
    const random = new Random(3);
    const { ec } = layers;
    const [out, x, y, z] = [0, 1, 2, 3].map((i) => layers.at(i)) as [
      number,
      number,
      number,
      number,
    ];
    const fill = () => {
      for (const [i, at] of [x, y, z].entries()) layers.set(at, values[i] as bigint);
    };
    const values = [random.big(p), random.big(p), random.big(p)];
    const operations: ((out: number) => void)[] = [
      (to) => ec.mul(to, x, y),
      (to) => ec.sqr(to, x),
      (to) => ec.mulSub(to, x, y, z, 3n),
      (to) => ec.sqrSub(to, x, z, 3n),
      (to) => ec.addShl(to, x, y, 1),
      (to) => ec.shlSub(to, x, 2, y),
    ];
    for (const operation of operations) {
      fill();
      operation(out);
      const expected = layers.get(out);
      for (const to of [x, y, z]) {
        fill();
        operation(to);
        expect(layers.get(to)).toBe(expected);
      }
    }
  });

  it('tells multiples of p from everything else', () => {
    const x = layers.at(0);
    const isZero = (value: bigint): boolean => {
      layers.set(x, value);
      return layers.ec.isZero(x) !== 0;
    };
    const random = new Random(4);
    for (let k = -14n; k <= 14n; k++) {
      expect(isZero(k * p)).toBe(true);
      // The same lowest limb, another value.
      for (let i = 1; i < limbs; i++) expect(isZero(k * p + (1n << BigInt(28 * i)))).toBe(false);
      for (const d of [1n, -1n, 2n, random.big(p - 1n) + 1n]) expect(isZero(k * p + d)).toBe(false);
    }
  });

  it('inverts mod p and mod n', () => {
    const random = new Random(5);
    const { ec, R } = layers;
    const [out, x] = [layers.at(0), layers.at(1)];
    const ends = [1n, 2n, 3n, 1n << 27n, 1n << 28n, (1n << 28n) - 1n, 1n << 29n];
    for (const [modulus, at] of [
      [p, ec.modulusP()],
      [n, ec.orderN()],
    ] as const) {
      expect(layers.get(at)).toBe(modulus);
      const values = [
        ...ends,
        ...ends.map((end) => modulus - end),
        modulus / 2n,
        modulus / 2n + 1n,
      ];
      values.push(modulus + 1n, 2n * modulus - 1n, -1n, 1n - modulus);
      for (let i = 0; i < bits; i++) values.push(1n << BigInt(i));
      for (let i = 0; i < 1000; i++) values.push(random.big(modulus - 1n) + 1n);
      for (const value of values) {
        layers.set(x, value);
        ec.invert(out, x, at);
        const inverse = layers.get(out);
        expect(mod(inverse * value - 1n, modulus)).toBe(0n);
        expect(layers.isNormal(out) && inverse < 20n * modulus && inverse > -20n * modulus).toBe(
          true,
        );
      }
    }
    for (const value of ends) {
      layers.set(x, value);
      ec.inverse(out, x);
      expect(mod(layers.get(out) * value - R * R, p)).toBe(0n); // a R to a^-1 R
    }
    for (let a = 1; a < 2 ** 28; a += 2 * random.integer(2 ** 18) + 2)
      expect(BigInt.asUintN(28, BigInt(a) * BigInt(ec.inverseModLimb(a)))).toBe(1n);
  });

  it('multiplies and divides scalars', () => {
    const random = new Random(6);
    const { ec, R } = layers;
    const [s, h, u1, r, u2] = [0, 1, 2, 3, 4].map((i) => layers.at(i)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const rInverse = invertMod(R, n);
    for (let i = 0; i < 1000; i++) {
      const [x, y] = [random.big(n), (random.integer(2) ? 1n : -1n) * random.big(20n * n)];
      layers.set(h, x);
      layers.set(r, y);
      ec.scalarMul(u1, h, r);
      expect(layers.get(u1)).toBe(mod(x * y * rInverse, n));
      expect(layers.isNormal(u1)).toBe(true);
      const [sValue, hValue, rValue] = [
        random.big(n - 1n) + 1n,
        random.big(1n << BigInt(bits)),
        random.big(n),
      ];
      layers.set(s, sValue);
      layers.set(h, hValue);
      layers.set(r, rValue);
      ec.divideBy(s, h, u1, r, u2);
      expect(layers.get(u1)).toBe(mod(hValue * invertMod(sValue, n), n));
      expect(layers.get(u2)).toBe(mod(rValue * invertMod(sValue, n), n));
    }
    for (const [value, valid] of [
      [0n, 0],
      [1n, 1],
      [n - 1n, 1],
      [n, 0],
      [n + 1n, 0],
      [p, 0],
      [(1n << BigInt(bits)) - 1n, 0],
    ] as const) {
      layers.set(s, value);
      expect(ec.isScalar(s)).toBe(valid);
    }
  });

  it('recodes scalars in non-adjacent form', () => {
    const random = new Random(7);
    const [digits, a] = [layers.at(2), layers.at(0)];
    const full = (1n << BigInt(bits)) - 1n;
    const values = [0n, 1n, n - 1n, full, full - 1n, (full << 1n) & full, 1n << BigInt(bits - 1)];
    for (let i = 0; i < 500; i++) values.push(random.big(n));
    for (const width of [5, 7])
      for (const value of values) {
        layers.set(a, value);
        layers.bytes.fill(0xaa, digits, digits + bits + 1);
        layers.ec.wnaf(digits, a, bits, width);
        const signed = new Int8Array(layers.ec.memory.buffer, digits, bits + 1);
        let sum = 0n;
        let last = -width;
        signed.forEach((digit, i) => {
          if (digit === 0) return;
          expect(digit % 2 !== 0 && Math.abs(digit) < 1 << (width - 1) && i - last >= width).toBe(
            true,
          );
          last = i;
          sum += BigInt(digit) << BigInt(i);
        });
        expect(sum).toBe(value);
      }
  });

  const G: Point = curve.g;
  /** k G, (k + 1) G, ... for an arbitrary k. */
  const points = (count: number): Point[] => {
    const walk = [multiplyPoint(curve, n / 3n, G)];
    while (walk.length < count) walk.push(addPoints(curve, walk.at(-1), G));
    return walk;
  };
  const montgomery = (value: bigint): bigint => mod(value * layers.R, p);
  const plain = (value: bigint): bigint => mod(value * invertMod(layers.R, p), p);
  /** Writes a point with the given Z, each coordinate moved by multiples of p within its bounds. */
  const setPoint = (at: number, point: Point, z: bigint, random: Random): void => {
    if (!point) throw new Error('infinity');
    const move = () => BigInt(random.integer(13) - 9) * p;
    layers.set(at, montgomery(point[0] * z * z) + move());
    layers.set(at + VECTOR, montgomery(point[1] * z * z * z) + move());
    layers.set(at + 2 * VECTOR, montgomery(z) + move());
  };
  const getPoint = (at: number): Point => {
    const [x, y, z] = [0, 1, 2].map((i) => plain(layers.get(at + i * VECTOR))) as [
      bigint,
      bigint,
      bigint,
    ];
    const zInverse = invertMod(z, p);
    return [mod(x * zInverse ** 2n, p), mod(y * zInverse ** 3n, p)];
  };
  const setAffine = (at: number, point: Point): void => {
    if (!point) throw new Error('infinity');
    layers.set(at, montgomery(point[0]));
    layers.set(at + VECTOR, montgomery(point[1]));
  };

  it('doubles and adds points, and sees equal and opposite ones', () => {
    const random = new Random(8);
    const [at, affine] = [layers.at(0), layers.at(4)];
    const walk = points(150);
    for (const first of walk) {
      const second = random.pick(walk);
      const z = random.big(p - 1n) + 1n;
      setPoint(at, first, z, random);
      layers.ec.double(at, at);
      expect(getPoint(at)).toEqual(addPoints(curve, first, first));
      if (!first || !second || first[0] === second[0]) continue;
      setPoint(at, first, z, random);
      setAffine(affine, second);
      expect(layers.ec.addAffine(at, affine, affine + VECTOR)).toBe(0);
      expect(getPoint(at)).toEqual(addPoints(curve, first, second));
      setPoint(at, first, z, random);
      setAffine(affine, first);
      expect(layers.ec.addAffine(at, affine, affine + VECTOR)).toBe(1);
      expect(getPoint(at)).toEqual(first);
      setAffine(affine, [first[0], p - first[1]]);
      expect(layers.ec.addAffine(at, affine, affine + VECTOR)).toBe(2);
    }
  });

  it('accepts only coordinates below p, and only points of the curve', () => {
    const [out, source] = [layers.at(0), layers.at(4)];
    for (const [value, valid] of [
      [0n, 1],
      [1n, 1],
      [p - 1n, 1],
      [p, 0],
      [p + 1n, 0],
      [(1n << BigInt(bits)) - 1n, 0],
    ] as const) {
      layers.setBytes(source, value);
      expect(layers.ec.coordinateFromBytes(out, source)).toBe(valid);
      if (valid) expect(mod(layers.get(out) - montgomery(value), p)).toBe(0n);
    }
    layers.set(layers.at(3), montgomery(b));
    const isOnCurve = (x: bigint, y: bigint): number => {
      setAffine(out, [x, y]);
      return layers.ec.isOnCurve(out, out + VECTOR, layers.at(3));
    };
    for (const point of points(100)) {
      const [x, y] = point as [bigint, bigint];
      expect(isOnCurve(x, y)).toBe(1);
      expect(isOnCurve(x, p - y)).toBe(1);
      expect(isOnCurve(x, mod(y + 1n, p))).toBe(0);
      expect(isOnCurve(mod(x + 1n, p), y)).toBe(0);
    }
    expect(isOnCurve(0n, 0n)).toBe(0);
  });

  it.each([8, 32])('builds a table of %i odd multiples in each segment', (count) => {
    const [point, table] = [layers.at(0), layers.at(4)];
    const base = multiplyPoint(curve, 0x1234567n, G);
    setAffine(point, base);
    layers.ec.buildTable(table, point, count);
    const entry = 8 * limbs;
    for (const segment of [0, 1, 2, 3]) {
      const first = multiplyPoint(curve, 1n << BigInt((segment * bits) / 4), base);
      const twice = addPoints(curve, first, first);
      for (
        let i = 0, expected = first;
        i < count;
        i++, expected = addPoints(curve, expected, twice)
      ) {
        const at = table + (segment * count + i) * entry;
        expect([plain(layers.get(at)), plain(layers.get(at + entry / 2))]).toEqual(expected);
        expect(layers.isNormal(at) && layers.isNormal(at + entry / 2)).toBe(true);
      }
    }
  });

  it('adds multiples of two points, also where sums meet or vanish', () => {
    const random = new Random(10);
    const [u1At, u2At, point, table] = [layers.at(0), layers.at(1), layers.at(2), layers.at(5)];
    const check = (k: bigint, pairs: readonly (readonly [bigint, bigint])[]): void => {
      setAffine(point, multiplyPoint(curve, k, G));
      layers.ec.buildTable(table, point, 8);
      for (const [u1, u2] of pairs) {
        layers.set(u1At, u1);
        layers.set(u2At, u2);
        layers.ec.multiScalar(u1At, u2At, table);
        const expected = multiplyPoint(curve, mod(u1 + u2 * k, n), G);
        const message = `k ${k}, u1 ${u1}, u2 ${u2}`;
        expect(layers.ec.resultIsInfinity() !== 0, message).toBe(expected === undefined);
        if (expected) expect(getPoint(layers.ec.resultAddress()), message).toEqual(expected);
      }
    };
    const segment = 1n << BigInt(bits / 4);
    // The key is a small multiple of the base point, or an entry of its table: same and opposite
    // points meet all along.
    for (const k of [1n, n - 1n, 2n, 3n, n - 3n, 63n, segment, n - segment, invertMod(2n, n)]) {
      const pairs: [bigint, bigint][] = [
        [0n, 0n],
        [0n, 1n],
        [1n, 0n],
        [n - 1n, n - 1n],
      ];
      for (const u of [1n, 2n, random.big(n), random.big(n)]) {
        const other = mod(u * invertMod(k, n), n); // u2 Q = u1 G
        pairs.push([u, other], [u, mod(-other, n)], [u, u], [u, n - 1n], [0n, u], [u, 0n]);
      }
      check(k, pairs);
    }
    for (let i = 0; i < 12; i++)
      check(random.big(n - 1n) + 1n, [
        [random.big(n), random.big(n)],
        [random.big(n), random.big(n)],
      ]);
  });
});

describe('division steps', () => {
  /** One step as the paper defines it (Bernstein and Yang, section 8), and its matrix times 2. */
  type State = { delta: bigint; f: bigint; g: bigint; rows: readonly bigint[] };
  const step = ({ delta, f, g, rows }: State): State => {
    const [u = 0n, v = 0n, q = 0n, r = 0n] = rows;
    if (delta > 0n && g & 1n)
      return {
        delta: 1n - delta,
        f: g,
        g: (g - f) / 2n,
        rows: [2n * q, 2n * r, q - u, r - v],
      };
    const odd = g & 1n;
    return {
      delta: 1n + delta,
      f,
      g: (g + odd * f) / 2n,
      rows: [2n * u, 2n * v, q + odd * u, r + odd * v],
    };
  };

  it('are those of the definition, 28 at once', async () => {
    const { ec } = await Layers.build(P256);
    const random = new Random(11);
    for (let round = 0; round < 5000; round++) {
      const f = random.big(1n << 60n) | 1n;
      const g = (random.integer(2) ? 1n : -1n) * random.big(1n << 60n);
      const delta = BigInt(random.integer(80) - 40);
      let state: State = { delta, f, g, rows: [1n, 0n, 0n, 1n] };
      for (let i = 0; i < 28; i++) state = step(state);
      const low = (x: bigint) => Number(BigInt.asIntN(32, x));
      const newDelta = ec.steps(Number(delta), low(f), low(g));
      const matrix = [0, 1, 2, 3].map((i) => BigInt(ec.matrixEntry(i)));
      expect([BigInt(newDelta), ...matrix]).toEqual([state.delta, ...state.rows]);
      const [u, v, q, r] = matrix.map((x) => (x < 0n ? -x : x)) as [bigint, bigint, bigint, bigint];
      expect(u + v <= 1n << 28n && q + r <= 1n << 28n).toBe(true);
    }
  });
});
