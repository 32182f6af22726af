// Arithmetic mod p of the selected curve, on vectors of 28-bit signed limbs in Montgomery form.
// generate-field.mjs explains the representation. Only add and subtract leave limbs "lazy", outside
// [0, 2^28): point.ts states how far, and bounds.test.ts proves that nothing overflows.

import {
  compare, isAllZero, isP384, limbsFromBytes, MASK, modulusP, r2ModP, r3ModP, setSmall, VECTOR,
} from './curve';
import {
  addShl10, addShl14, mul10, mul14, mulSub10, mulSub14,
  shlSub10, shlSub14, sqr10, sqr14, sqrSub10, sqrSub14,
} from './field-unrolled';
import { invert } from './invert';

const scratch = memory.data(2 * 56, 8);

/** out = a * b / R */
export function mul(out: usize, a: usize, b: usize): void {
  if (isP384) mul14(out, a, b);
  else mul10(out, a, b);
}

/** out = a^2 / R */
export function sqr(out: usize, a: usize): void {
  if (isP384) sqr14(out, a);
  else sqr10(out, a);
}

/** out = a * b / R - c * 2^shift, with carries */
export function mulSub(out: usize, a: usize, b: usize, c: usize, shift: i64): void {
  if (isP384) mulSub14(out, a, b, c, shift);
  else mulSub10(out, a, b, c, shift);
}

/** out = a^2 / R - c * 2^shift, with carries */
export function sqrSub(out: usize, a: usize, c: usize, shift: i64): void {
  if (isP384) sqrSub14(out, a, c, shift);
  else sqrSub10(out, a, c, shift);
}

/** out = a + b * 2^shift, without carries */
export function addShl(out: usize, a: usize, b: usize, shift: i32): void {
  if (isP384) addShl14(out, a, b, shift);
  else addShl10(out, a, b, shift);
}

/** out = a * 2^shift - b, without carries */
export function shlSub(out: usize, a: usize, shift: i32, b: usize): void {
  if (isP384) shlSub14(out, a, shift, b);
  else shlSub10(out, a, shift, b);
}

/**
 * Whether a = 0 mod p, for a of limbs in [0, 2^28), the top one signed, and -15 p < a < 15 p.
 * Then a = k p with |k| < 15, and since p = -1 mod 2^28 the lowest limb is -k mod 2^28: almost
 * every other value is told by that limb alone. The rest is reduced: |a| < R, so that a * 1 / R
 * lies in [0, p], where only 0 and p are multiples of p.
 */
export function isZero(a: usize): bool {
  if (((load<i32>(a) + 15) & MASK) > 30) return false;
  setSmall(scratch, 1);
  mul(scratch, a, scratch);
  return isAllZero(scratch) || compare(scratch, modulusP()) == 0;
}

/** out = 1 / a in Montgomery form, for a != 0: (a R)^-1 * R^3 / R = a^-1 R. */
export function inverse(out: usize, a: usize): void {
  invert(scratch + VECTOR, a, modulusP());
  mul(out, scratch + VECTOR, r3ModP());
}

/** A coordinate from big-endian bytes, in Montgomery form; false when it is not below p. */
export function coordinateFromBytes(out: usize, source: usize): bool {
  limbsFromBytes(out, source);
  if (compare(out, modulusP()) >= 0) return false;
  mul(out, out, r2ModP());
  return true;
}
