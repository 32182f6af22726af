// Modular inversion by division steps: Bernstein and Yang, "Fast constant-time gcd computation and
// modular inversion", IACR TCHES 2019(3), here in variable time, 28 steps at once.
//
// One step (section 8): (delta, f, g) becomes
//   (1 - delta, g, (g - f) / 2)              if delta > 0 and g is odd,
//   (1 + delta, f, (g + (g mod 2) f) / 2)    otherwise.
// 28 steps depend only on delta and the low 28 bits of f and g, and are a matrix [[u, v], [q, r]] of
// integers with 2^28 (f', g') = [[u, v], [q, r]] (f, g), |u| + |v| <= 2^28, |q| + |r| <= 2^28
// (section 9).
// Alongside, d and e keep d x = f and e x = g mod m. When g has become 0, f is +1 or -1 and
// the inverse of x is f d.
//
// Bounds. |f| and |g| never exceed max(|m|, |x|). d and e grow by at most m / 2 with every batch, as
// |u d + v e| <= 2^28 max(|d|, |e|) and a multiple of m of at most 2^27 m is added before the
// division by 2^28. For |m| < 2^384 and |x| < 2^385 at most (49 * 385 + 57) / 17 = 1113 steps are
// needed (theorem 11.2), 40 batches, so |d|, |e| <= 20 m: under 2^389 in 14 limbs, 2^261 in 10.

import { addSigned, copyVector, isAllZero, limbs, MASK, setSmall } from './curve';

const f = memory.data(56, 8);
const g = memory.data(56, 8);
const d = memory.data(56, 8);
const e = memory.data(56, 8);
/** More batches than theorem 11.2 allows: the loop ends whatever its input. */
const MAX_BATCHES = 42;

// The matrix of the last batch.
export let u: i32 = 0;
export let v: i32 = 0;
export let q: i32 = 0;
export let r: i32 = 0;

/**
 * out = 1 / x mod m for odd m and x prime to m: limbs in [0, 2^28), the top one signed,
 * |out| <= 20 m. x has such limbs too, and |x| < 2 m.
 */
export function invert(out: usize, x: usize, m: usize): void {
  copyVector(f, m);
  copyVector(g, x);
  setSmall(d, 0);
  setSmall(e, 1);
  const mInverse = inverseModLimb(load<i32>(m));
  let delta = 1;
  for (let batch = 0; batch < MAX_BATCHES && !isAllZero(g); batch++) {
    delta = steps(delta, load<i32>(f) | (load<i32>(f, 4) << 28), load<i32>(g) | (load<i32>(g, 4) << 28));
    updateFG();
    updateDE(m, mInverse);
  }
  // f is 1 or -1: its top limb has its sign.
  setSmall(g, 0);
  addSigned(out, g, d, load<i32>(f + 4 * <usize>(limbs - 1)) < 0 ? -1 : 1);
}

/** 1 / a mod 2^28 for odd a, by Newton's iteration x := x (2 - a x): correct bits 3, 6, 12, 24, 48. */
export function inverseModLimb(a: i32): i32 {
  let x = a;
  for (let i = 0; i < 4; i++) x *= 2 - a * x;
  return x & MASK;
}

/** 28 division steps on the low words of f and g: sets the matrix, returns the new delta. */
export function steps(delta: i32, f0: i32, g0: i32): i32 {
  u = 1; v = 0; q = 0; r = 1;
  let left = 28;
  while (true) {
    // All steps with even g at once: each halves g and doubles the first row instead of halving
    // the second.
    const zeros = ctz(g0 | (-1 << left));
    g0 >>= zeros;
    u <<= zeros;
    v <<= zeros;
    delta += zeros;
    left -= zeros;
    if (left == 0) return delta;
    if (delta > 0) {
      // (f, g) := (g, -f), so that what follows adds f in both cases.
      delta = -delta;
      let t = f0; f0 = g0; g0 = -t;
      t = u; u = q; q = -t;
      t = v; v = r; r = -t;
    }
    // f and g are odd. For the next 1 - delta steps no swap can happen, so several bits of g are
    // cleared at once: w = -g / f mod 2^bits. x (2 - f x) with x = f is right to 6 bits.
    let bits = 1 - delta;
    if (bits > left) bits = left;
    if (bits > 6) bits = 6;
    const w = (g0 * f0 * (f0 * f0 - 2)) & ((1 << bits) - 1);
    g0 += w * f0;
    q += w * u;
    r += w * v;
  }
}

/** (f, g) := matrix (f, g) / 2^28, exact. Sums stay below 2^57. */
function updateFG(): void {
  const u64_ = <i64>u, v64 = <i64>v, q64 = <i64>q, r64 = <i64>r;
  let fi = <i64>load<i32>(f), gi = <i64>load<i32>(g);
  let carryF = (u64_ * fi + v64 * gi) >> 28;
  let carryG = (q64 * fi + r64 * gi) >> 28;
  const top = <usize>(limbs - 1) * 4;
  for (let at: usize = 4; at <= top; at += 4) {
    fi = load<i32>(f + at);
    gi = load<i32>(g + at);
    carryF += u64_ * fi + v64 * gi;
    carryG += q64 * fi + r64 * gi;
    store<i32>(f + at - 4, <i32>carryF & MASK);
    store<i32>(g + at - 4, <i32>carryG & MASK);
    carryF >>= 28;
    carryG >>= 28;
  }
  store<i32>(f + top, <i32>carryF);
  store<i32>(g + top, <i32>carryG);
}

/** (d, e) := (matrix (d, e) + (s, t) m) / 2^28 with -2^27 <= s, t < 2^27 such that this is exact. */
function updateDE(m: usize, mInverse: i32): void {
  const u64_ = <i64>u, v64 = <i64>v, q64 = <i64>q, r64 = <i64>r;
  let di = <i64>load<i32>(d), ei = <i64>load<i32>(e), mi = <i64>load<i32>(m);
  let carryD = u64_ * di + v64 * ei;
  let carryE = q64 * di + r64 * ei;
  const s = <i64>((-(<i32>carryD * mInverse)) << 4 >> 4);
  const t = <i64>((-(<i32>carryE * mInverse)) << 4 >> 4);
  carryD = (carryD + s * mi) >> 28;
  carryE = (carryE + t * mi) >> 28;
  const top = <usize>(limbs - 1) * 4;
  for (let at: usize = 4; at <= top; at += 4) {
    di = load<i32>(d + at);
    ei = load<i32>(e + at);
    mi = load<i32>(m + at);
    carryD += u64_ * di + v64 * ei + s * mi;
    carryE += q64 * di + r64 * ei + t * mi;
    store<i32>(d + at - 4, <i32>carryD & MASK);
    store<i32>(e + at - 4, <i32>carryE & MASK);
    carryD >>= 28;
    carryE >>= 28;
  }
  store<i32>(d + top, <i32>carryD);
  store<i32>(e + top, <i32>carryE);
}
