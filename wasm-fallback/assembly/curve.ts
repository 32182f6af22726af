// The two curves: y^2 = x^3 - 3x + b over the integers mod p, a group of prime order n.
// Constants as NIST SP 800-186 prints them (3.2.1.3 P-256, 3.2.1.4 P-384), in 64-bit words, most
// significant word first. Everything else is computed from them when a curve is first used.

import { mul10, mul14 } from './field-unrolled';

const P256 = memory.data<u64>([
  // p
  0xffffffff00000001, 0x0000000000000000, 0x00000000ffffffff, 0xffffffffffffffff,
  // n
  0xffffffff00000000, 0xffffffffffffffff, 0xbce6faada7179e84, 0xf3b9cac2fc632551,
  // b
  0x5ac635d8aa3a93e7, 0xb3ebbd55769886bc, 0x651d06b0cc53b0f6, 0x3bce3c3e27d2604b,
  // x of the base point
  0x6b17d1f2e12c4247, 0xf8bce6e563a440f2, 0x77037d812deb33a0, 0xf4a13945d898c296,
  // y of the base point
  0x4fe342e2fe1a7f9b, 0x8ee7eb4a7c0f9e16, 0x2bce33576b315ece, 0xcbb6406837bf51f5,
]);
const P384 = memory.data<u64>([
  // p
  0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff,
  0xfffffffffffffffe, 0xffffffff00000000, 0x00000000ffffffff,
  // n
  0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff,
  0xc7634d81f4372ddf, 0x581a0db248b0a77a, 0xecec196accc52973,
  // b
  0xb3312fa7e23ee7e4, 0x988e056be3f82d19, 0x181d9c6efe814112,
  0x0314088f5013875a, 0xc656398d8a2ed19d, 0x2a85c8edd3ec2aef,
  // x of the base point
  0xaa87ca22be8b0537, 0x8eb1c71ef320ad74, 0x6e1d3b628ba79b98,
  0x59f741e082542a38, 0x5502f25dbf55296c, 0x3a545e3872760ab7,
  // y of the base point
  0x3617de4a96262c6f, 0x5d9e98bf9292dc29, 0xf8f41dbd289a147c,
  0xe9da3113b5f0b8c0, 0x0a60b1ce1d7e819d, 0x7a431d7c90ea0e5f,
]);

/** Bytes set aside for one vector of limbs. Points are X, Y, Z at multiples of it. */
export const VECTOR: usize = 56;
/** The mask of one limb. */
export const MASK: i32 = 0xfffffff;

// What is kept for each curve, at these offsets; all vectors of limbs.
const OFFSET_P: usize = 0;
const OFFSET_N: usize = VECTOR;
const OFFSET_B: usize = 2 * VECTOR; // b * R mod p
const OFFSET_G: usize = 3 * VECTOR; // the base point: x * R, y * R, R mod p
const OFFSET_R2_P: usize = 6 * VECTOR; // R^2 mod p
const OFFSET_R3_P: usize = 7 * VECTOR; // R^3 mod p
const OFFSET_R2_N: usize = 8 * VECTOR; // R^2 mod n
const CONTEXT: usize = 9 * VECTOR;
const contexts = memory.data(2 * <i32>CONTEXT, 8);

const ready = memory.data(8);

/** The selected curve: true is P-384, false P-256. */
export let isP384: bool = false;
/** Limbs of a vector: 14 or 10. */
export let limbs: i32 = 0;
/** 64-bit words of a coordinate: 6 or 4. */
export let words: i32 = 0;
let context: usize = 0;

export function modulusP(): usize { return context + OFFSET_P; }
export function orderN(): usize { return context + OFFSET_N; }
export function coefficientB(): usize { return context + OFFSET_B; }
export function basePoint(): usize { return context + OFFSET_G; }
/** One in Montgomery form: the Z of the base point. */
export function one(): usize { return context + OFFSET_G + 2 * VECTOR; }
export function r2ModP(): usize { return context + OFFSET_R2_P; }
export function r3ModP(): usize { return context + OFFSET_R3_P; }
export function r2ModN(): usize { return context + OFFSET_R2_N; }

/** Makes `p384 ? P-384 : P-256` the curve that all other functions work on. */
export function selectCurve(p384: bool): void {
  isP384 = p384;
  limbs = p384 ? 14 : 10;
  words = p384 ? 6 : 4;
  context = contexts + (p384 ? CONTEXT : 0);
  const flag = ready + (p384 ? 1 : 0);
  if (load<u8>(flag)) return;
  store<u8>(flag, 1);
  const constants = p384 ? P384 : P256;
  const size = <usize>words * 8;
  limbsFromWords(modulusP(), constants);
  limbsFromWords(orderN(), constants + size);
  powerOfTwo(r2ModP(), modulusP(), 56 * limbs);
  powerOfTwo(r2ModN(), orderN(), 56 * limbs);
  powerOfTwo(one(), modulusP(), 28 * limbs);
  multiply(r3ModP(), r2ModP(), r2ModP());
  limbsFromWords(coefficientB(), constants + 2 * size);
  multiply(coefficientB(), coefficientB(), r2ModP());
  for (let i: usize = 0; i < 2; i++) {
    const coordinate = basePoint() + i * VECTOR;
    limbsFromWords(coordinate, constants + (3 + i) * size);
    multiply(coordinate, coordinate, r2ModP());
  }
}

/** 64-bit words, most significant first, to limbs. */
export function limbsFromWords(out: usize, source: usize): void {
  for (let i = 0; i < limbs; i++) {
    const bit = 28 * i;
    const word = bit >> 6;
    const shift: u64 = bit & 63;
    let value = wordOf(source, word) >> shift;
    if (shift > 36) value |= wordOf(source, word + 1) << (64 - shift);
    store<i32>(out + 4 * <usize>i, <i32>value & MASK);
  }
}

function wordOf(source: usize, index: i32): u64 {
  return index < words ? load<u64>(source + 8 * <usize>(words - 1 - index)) : 0;
}

/** Big-endian bytes, as keys, signatures and digests hold them, to limbs. */
export function limbsFromBytes(out: usize, source: usize): void {
  for (let i = 0; i < words; i++)
    store<u64>(swapped + 8 * <usize>i, bswap<u64>(load<u64>(source + 8 * <usize>i)));
  limbsFromWords(out, swapped);
}
const swapped = memory.data(48, 8);

/** -1, 0 or 1 as a is below, equal to or above b. Both with limbs in [0, 2^28), the top one signed. */
export function compare(a: usize, b: usize): i32 {
  for (let i = limbs - 1; i >= 0; i--) {
    const x = load<i32>(a + 4 * <usize>i);
    const y = load<i32>(b + 4 * <usize>i);
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

/** out = a + sign * b with carries: limbs in [0, 2^28), the top one signed. */
export function addSigned(out: usize, a: usize, b: usize, sign: i32): void {
  const top = limbs - 1;
  let carry = 0;
  for (let i = 0; i <= top; i++) {
    const at = <usize>i * 4;
    carry += load<i32>(a + at) + sign * load<i32>(b + at);
    store<i32>(out + at, i < top ? carry & MASK : carry);
    carry >>= 28;
  }
}

export function isAllZero(a: usize): bool {
  for (let i = 0; i < limbs; i++) if (load<i32>(a + 4 * <usize>i)) return false;
  return true;
}

export function copyVector(out: usize, a: usize): void {
  for (let i = 0; i < limbs; i++) store<i32>(out + 4 * <usize>i, load<i32>(a + 4 * <usize>i));
}

/** The vector of the integer `value`, 0 <= value < 2^28. */
export function setSmall(out: usize, value: i32): void {
  for (let i = 1; i < limbs; i++) store<i32>(out + 4 * <usize>i, 0);
  store<i32>(out, value);
}

/** out = 2^exponent mod m, by doubling. */
function powerOfTwo(out: usize, m: usize, exponent: i32): void {
  setSmall(out, 1);
  for (let i = 0; i < exponent; i++) {
    addSigned(out, out, out, 1);
    if (compare(out, m) >= 0) addSigned(out, out, m, -1);
  }
}

/** out = a * b / R mod p: see field.ts. */
function multiply(out: usize, a: usize, b: usize): void {
  if (isP384) mul14(out, a, b);
  else mul10(out, a, b);
}
