// Arithmetic mod n, the order of the group. Only a handful of operations a verification, so plain
// loops serve: Montgomery multiplication by rows with the limbs and R of field.ts.

import { addSigned, compare, limbs, MASK, orderN, r2ModN, setSmall } from './curve';
import { inverseModLimb, invert } from './invert';

const columns = memory.data(14 * 8, 8);
const zero = memory.data(56, 8);
const sInverse = memory.data(56, 8);
const temporary = memory.data(56, 8);

/**
 * out = a b / R mod n, in [0, n). Limbs in [0, 2^28), the top ones signed; |a b| < n R.
 * Coarsely integrated operand scanning (Koc, Acar and Kaliski, "Analyzing and comparing Montgomery
 * multiplication algorithms", IEEE Micro 1996). Columns stay below 2 * 14 * 2^56 < 2^61.
 */
export function scalarMul(out: usize, a: usize, b: usize): void {
  const n = orderN();
  const minusInverse = -inverseModLimb(load<i32>(n));
  for (let j = 0; j < limbs; j++) store<i64>(columns + 8 * <usize>j, 0);
  for (let i = 0; i < limbs; i++) {
    const ai = <i64>load<i32>(a + 4 * <usize>i);
    let carry = load<i64>(columns) + ai * <i64>load<i32>(b);
    const q = <i64>((<i32>carry * minusInverse) & MASK);
    carry = (carry + q * <i64>load<i32>(n)) >> 28; // out of the column that q clears
    for (let j = 1; j < limbs; j++) {
      const at = <usize>j * 4;
      const row = ai * <i64>load<i32>(b + at) + q * <i64>load<i32>(n + at);
      store<i64>(columns + 2 * at - 8, load<i64>(columns + 2 * at) + row + carry);
      carry = 0;
    }
  }
  let carry: i64 = 0;
  for (let j = 0; j < limbs; j++) {
    carry += load<i64>(columns + 8 * <usize>j);
    store<i32>(out + 4 * <usize>j, j < limbs - 1 ? <i32>carry & MASK : <i32>carry);
    carry >>= 28;
  }
  // a b / R lies in (-n, n) and reduction adds less than n.
  if (compare(out, zero) < 0) addSigned(out, out, n, 1);
  if (compare(out, n) >= 0) addSigned(out, out, n, -1);
}

/** u1 = h / s mod n, u2 = r / s mod n (FIPS 186-5, 6.4.2, steps 3 to 5). h < 2^(bits of n). */
export function divideBy(s: usize, h: usize, u1: usize, r: usize, u2: usize): void {
  invert(sInverse, s, orderN());
  scalarMul(temporary, h, r2ModN());
  scalarMul(u1, temporary, sInverse);
  scalarMul(temporary, r, r2ModN());
  scalarMul(u2, temporary, sInverse);
}

/** Whether 0 < a < n, for a of limbs in [0, 2^28). */
export function isScalar(a: usize): bool {
  return compare(a, zero) > 0 && compare(a, orderN()) < 0;
}

/**
 * Width-w non-adjacent form (Hankerson, Menezes and Vanstone, "Guide to Elliptic Curve
 * Cryptography", algorithm 3.35, from the low bit up): a = sum digits[i] 2^i, every digit 0 or odd
 * with |digit| < 2^(w-1), at most one of w neighbours not 0. 0 <= a < 2^bits; writes bits + 1 signed
 * bytes.
 */
export function wnaf(digits: usize, a: usize, bits: i32, width: i32): void {
  let carry = 0;
  let i = 0;
  while (i <= bits) {
    if (bitsOf(a, i, 1) == carry) {
      store<i8>(digits + i++, 0);
      continue;
    }
    let digit = bitsOf(a, i, width) + carry;
    carry = (digit >> (width - 1)) & 1;
    digit -= carry << width;
    store<i8>(digits + i, <i8>digit);
    const next = i + width;
    while (++i < next && i <= bits) store<i8>(digits + i, 0);
  }
}

/** Bits [from, from + count) of a, count <= 28. */
function bitsOf(a: usize, from: i32, count: i32): i32 {
  const limb = from / 28;
  let value = <i64>limbAt(a, limb) | (<i64>limbAt(a, limb + 1) << 28);
  return <i32>(value >> (from - 28 * limb)) & ((1 << count) - 1);
}

function limbAt(a: usize, index: i32): i32 {
  return index < limbs ? load<i32>(a + 4 * <usize>index) : 0;
}
