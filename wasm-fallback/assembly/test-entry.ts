// The layers below `verify`, one by one, for arithmetic.test.ts. Not part of the published binary.

import { selectCurve } from './curve';
import { q, r, u, v } from './invert';
import { isInfinity, result } from './multi-scalar';

export { addSigned, basePoint, limbsFromBytes, modulusP, orderN } from './curve';
export { addShl, coordinateFromBytes, inverse, isZero, mul, mulSub, shlSub, sqr, sqrSub } from './field';
export * from './index';
export { inverseModLimb, invert, steps } from './invert';
export { tableOfKey } from './keys';
export { multiScalar } from './multi-scalar';
export { addAffine, double, isOnCurve } from './point';
export { divideBy, isScalar, scalarMul, wnaf } from './scalar';
export { buildTable } from './table';

const room = memory.data(24576, 8);

/** 24 KB for operands and results. */
export function scratchAddress(): usize {
  return room;
}

export function select(p384: i32): void {
  selectCurve(p384 != 0);
}

export function resultAddress(): usize {
  return result;
}

export function resultIsInfinity(): i32 {
  return isInfinity ? 1 : 0;
}

/** Entry 0 to 3 of the matrix that steps left: u, v, q, r. */
export function matrixEntry(index: i32): i32 {
  return index == 0 ? u : index == 1 ? v : index == 2 ? q : r;
}
