// u1 G + u2 Q: interleaved signed windows (Moller, "Algorithms for multi-exponentiation", SAC 2001;
// Hankerson, Menezes and Vanstone, algorithm 3.51) over the four segments of both scalars.

import { basePoint, copyVector, isP384, one, VECTOR } from './curve';
import { shlSub } from './field';
import { ADDED, addAffine, double, SAME } from './point';
import { wnaf } from './scalar';
import {
  BASE_POINTS, BASE_WIDTH, buildTable, entrySize, KEY_POINTS, KEY_WIDTH, SEGMENTS, segmentLength,
} from './table';

const baseTable256 = memory.data(10240, 8);
const baseTable384 = memory.data(14336, 8);
const baseTableReady = memory.data(8, 8);

const digitsOfBase = memory.data(392, 8);
const digitsOfKey = memory.data(392, 8);
const negatedY = memory.data(56, 8);
const zero = memory.data(56, 8);

/** The result: X, Y, Z. */
export const result = memory.data(3 * 56, 8);
/** Whether the result is the point at infinity, which has no coordinates. */
export let isInfinity: bool = true;

/** result = u1 G + u2 Q, for u1, u2 in [0, n) and the table of Q. */
export function multiScalar(u1: usize, u2: usize, keyTable: usize): void {
  const baseTable = tableOfBasePoint();
  const length = segmentLength();
  const bits = SEGMENTS * length;
  wnaf(digitsOfBase, u1, bits, BASE_WIDTH);
  wnaf(digitsOfKey, u2, bits, KEY_WIDTH);
  isInfinity = true;
  // Digit number `bits`, the carry out of the last one, is number `length` of the last segment.
  addDigit(bits, SEGMENTS - 1, baseTable, keyTable);
  for (let i = length - 1; i >= 0; i--) {
    if (!isInfinity) double(result, result);
    for (let segment = 0; segment < SEGMENTS; segment++)
      addDigit(segment * length + i, segment, baseTable, keyTable);
  }
}

/** Adds what digit number `at` of both scalars stands for, out of the tables' part `segment`. */
function addDigit(at: i32, segment: i32, baseTable: usize, keyTable: usize): void {
  const d1 = <i32>load<i8>(digitsOfBase + <usize>at);
  if (d1) addMultiple(baseTable + <usize>(segment * BASE_POINTS) * entrySize(), d1);
  const d2 = <i32>load<i8>(digitsOfKey + <usize>at);
  if (d2) addMultiple(keyTable + <usize>(segment * KEY_POINTS) * entrySize(), d2);
}

/** Adds `digit` times the first point of `table`; digit is odd. */
function addMultiple(table: usize, digit: i32): void {
  const negative = digit < 0;
  const x = table + <usize>((negative ? -digit : digit) >> 1) * entrySize();
  let y = x + entrySize() / 2;
  if (negative) {
    shlSub(negatedY, zero, 0, y);
    y = negatedY;
  }
  if (!isInfinity) {
    const outcome = addAffine(result, x, y);
    if (outcome == ADDED) return;
    if (outcome == SAME) double(result, result);
    else isInfinity = true;
    return;
  }
  copyVector(result, x);
  copyVector(result + VECTOR, y);
  copyVector(result + 2 * VECTOR, one());
  isInfinity = false;
}

/** Built when the curve is first used: half a millisecond. */
function tableOfBasePoint(): usize {
  const table = isP384 ? baseTable384 : baseTable256;
  const flag = baseTableReady + (isP384 ? 1 : 0);
  if (!load<u8>(flag)) {
    store<u8>(flag, 1);
    buildTable(table, basePoint(), BASE_POINTS);
  }
  return table;
}
