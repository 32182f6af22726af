// Points in Jacobian coordinates: X, Y, Z in consecutive vectors stand for (X / Z^2, Y / Z^3).
// Formulas from the Explicit-Formulas Database, "Jacobian coordinates with a4 = -3 for short
// Weierstrass curves" (hyperelliptic.org/EFD/g1p/auto-shortw-jacobian-3.html), reordered so that
// subtractions ride on a multiplication's carries.
//
// Bounds. For every coordinate of every point:
//   limbs in [0, 2^28), the top one signed and small; -10 p <= X, Y, Z <= 4 p.
// For the affine points that are added: values in [-3 p, 3 p], limbs in (-2^28, 2^28).
// bounds.test.ts starts from these and proves them again for what comes out, and that nothing on the
// way leaves its word. In short: limbs up to 9 * 2^28 times limbs up to 2^28 stay below 2^63 (14
// products of 9 * 2^56), and no sum here, such as 3 (X + delta), has limbs above 6 * 2^28, which fit
// 32 bits. Reduction brings every product of such operands to [-3 p, 3 p].

import { VECTOR } from './curve';
import { addShl, isZero, mul, mulSub, shlSub, sqr, sqrSub } from './field';

const T0 = memory.data(56, 8);
const T1 = memory.data(56, 8);
const T2 = memory.data(56, 8);
const T3 = memory.data(56, 8);
const T4 = memory.data(56, 8);

/** What addAffine found. */
export const ADDED: i32 = 0;
/** Both points have the same x and y: the caller must double instead. Nothing was written. */
export const SAME: i32 = 1;
/** The points are negatives of each other: the sum is infinity. Nothing was written. */
export const OPPOSITE: i32 = 2;

/** out = 2 a, "dbl-2001-b" (Bernstein 2001), 3 M + 5 S. a isn't infinity; out may be a. */
export function double(out: usize, a: usize): void {
  const x = a;
  const y = a + VECTOR;
  const z = a + 2 * VECTOR;
  sqr(T0, z); //                     delta = Z^2
  sqr(T1, y); //                     gamma = Y^2
  mul(T2, x, T1); //                 beta = X gamma
  addShl(T3, y, z, 0);
  addShl(T4, T0, T1, 0);
  sqrSub(out + 2 * VECTOR, T3, T4, 0); // Z' = (Y + Z)^2 - (gamma + delta)
  shlSub(T3, x, 0, T0);
  addShl(T4, x, T0, 0);
  addShl(T4, T4, T4, 1);
  mul(T3, T3, T4); //                alpha = (X - delta) 3 (X + delta)
  sqrSub(out, T3, T2, 3); //         X' = alpha^2 - 8 beta
  shlSub(T4, T2, 2, out);
  sqr(T1, T1);
  mulSub(out + VECTOR, T3, T4, T1, 3); // Y' = alpha (4 beta - X') - 8 gamma^2
}

/**
 * a = a + (x2, y2), "add-1998-cmo" (Cohen, Miyaji and Ono 1998) with Z2 = 1, 8 M + 3 S.
 * a isn't infinity. Returns ADDED, SAME or OPPOSITE.
 */
export function addAffine(a: usize, x2: usize, y2: usize): i32 {
  const x = a;
  const y = a + VECTOR;
  const z = a + 2 * VECTOR;
  sqr(T0, z);
  mulSub(T1, x2, T0, x, 0); //       H = X2 Z^2 - X
  mul(T0, z, T0);
  mulSub(T0, y2, T0, y, 0); //       r = Y2 Z^3 - Y
  if (isZero(T1)) return isZero(T0) ? SAME : OPPOSITE;
  mul(z, z, T1); //                  Z' = Z H
  sqr(T2, T1); //                    H^2
  mul(T1, T1, T2); //                H^3
  mul(T2, x, T2); //                 V = X H^2
  addShl(T3, T1, T2, 1);
  sqrSub(x, T0, T3, 0); //           X' = r^2 - (H^3 + 2 V)
  shlSub(T2, T2, 0, x);
  mul(T1, y, T1);
  mulSub(y, T0, T2, T1, 0); //       Y' = r (V - X') - Y H^3
  return ADDED;
}

/** Whether y^2 = x^3 - 3 x + b, for x, y in [0, p). */
export function isOnCurve(x: usize, y: usize, b: usize): bool {
  sqr(T0, x);
  mul(T0, T0, x);
  addShl(T1, x, x, 1);
  shlSub(T1, T1, 0, b);
  shlSub(T0, T0, 0, T1); //          x^3 - (3 x - b)
  sqrSub(T1, y, T0, 0);
  return isZero(T1);
}
