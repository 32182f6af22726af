// Tables of odd multiples, from which multi-scalar.ts adds. A scalar's digits are cut into four
// segments of L = bits / 4 digits, so that one run of L doublings serves all four (Lim and Lee,
// "More flexible exponentiation with precomputation", CRYPTO '94). The table of a point P holds,
// for k = 0 to 3, the points 1, 3, 5, ... times 2^(k L) P, affine: x then y, packed limbs of 32
// bits.

import { copyVector, limbs, one, VECTOR } from './curve';
import { inverse, mul, sqr } from './field';
import { addAffine, double } from './point';

/** Segments of a scalar. */
export const SEGMENTS: i32 = 4;
/** Digits in a segment: 96 or 64. */
export function segmentLength(): i32 {
  return limbs == 14 ? 96 : 64;
}

/** The width of the digits of a key's scalar, and points per segment of its table: 1 to 15. */
export const KEY_WIDTH: i32 = 5;
export const KEY_POINTS: i32 = 8;
/** The same for the base point: 1 to 63. */
export const BASE_WIDTH: i32 = 7;
export const BASE_POINTS: i32 = 32;

const base = memory.data(3 * 56, 8);
const sum = memory.data(3 * 56, 8);
const twice = memory.data(3 * 56, 8);
const zSquared = memory.data(56, 8);
const zInverse = memory.data(56, 8);
const running = memory.data(56, 8);
/** The Z of every point of a batch, and the products of the Z before it. */
const zs = memory.data(32 * 56, 8);
const products = memory.data(32 * 56, 8);

/** Bytes of one table entry. */
export function entrySize(): usize {
  return 8 * <usize>limbs;
}

/** Fills `table` for the affine point `point` (x, y in Montgomery form). */
export function buildTable(table: usize, point: usize, pointsPerSegment: i32): void {
  copyVector(base, point);
  copyVector(base + VECTOR, point + VECTOR);
  copyVector(base + 2 * VECTOR, one());
  let entry = table;
  let batch = table;
  let count = 0;
  for (let segment = 0; segment < SEGMENTS; segment++) {
    if (segment > 0) for (let i = segmentLength(); i > 0; i--) double(base, base);
    oddMultiples(entry, zs + <usize>count * VECTOR, pointsPerSegment);
    entry += <usize>pointsPerSegment * entrySize();
    count += pointsPerSegment;
    if (count + pointsPerSegment > 32) {
      makeAffine(batch, count);
      batch = entry;
      count = 0;
    }
  }
  if (count > 0) makeAffine(batch, count);
}

/**
 * X, Y and Z of base, 3 base, 5 base, ...: X and Y to the table, Z to `z`.
 * With D = 2 base = (XD, YD, ZD), the map (x, y) -> (x ZD^2, y ZD^3) leads to a curve on which D is
 * the affine point (XD, YD) and base is (X ZD^2, Y ZD^3, Z), so that D can be added by addAffine,
 * whose formula doesn't use the curve's coefficients. Mapped back, (X, Y, Z) is (X, Y, Z ZD).
 * The group has prime order, so that (2 i + 1) base is never D or -D, nor infinity.
 */
function oddMultiples(entry: usize, z: usize, count: i32): void {
  const zd = twice + 2 * VECTOR;
  double(twice, base);
  sqr(zSquared, zd);
  mul(sum, base, zSquared);
  mul(zSquared, zSquared, zd);
  mul(sum + VECTOR, base + VECTOR, zSquared);
  copyVector(sum + 2 * VECTOR, base + 2 * VECTOR);
  for (let i = 0; i < count; i++) {
    if (i > 0) addAffine(sum, twice, twice + VECTOR);
    copyVector(entry, sum);
    copyVector(entry + entrySize() / 2, sum + VECTOR);
    mul(z, sum + 2 * VECTOR, zd);
    entry += entrySize();
    z += VECTOR;
  }
}

/**
 * (X, Y) of Z = zs[i] to (X / Z^2, Y / Z^3), in place, with one inversion for all (Montgomery 1987,
 * "Speeding the Pollard and elliptic curve methods of factorization", 10.3.1).
 */
function makeAffine(entry: usize, count: i32): void {
  copyVector(running, zs);
  for (let i = 1; i < count; i++) {
    const at = <usize>i * VECTOR;
    copyVector(products + at, running);
    mul(running, running, zs + at);
  }
  inverse(running, running);
  entry += <usize>count * entrySize();
  for (let i = count - 1; i >= 0; i--) {
    const at = <usize>i * VECTOR;
    entry -= entrySize();
    if (i > 0) {
      mul(zInverse, running, products + at);
      mul(running, running, zs + at);
    } else copyVector(zInverse, running);
    const y = entry + entrySize() / 2;
    mul(y, y, zInverse);
    sqr(zInverse, zInverse);
    mul(y, y, zInverse);
    mul(entry, entry, zInverse);
  }
}
