/** A closed interval of integers. */
export type Interval = readonly [bigint, bigint];

export const add = (a: Interval, b: Interval): Interval => [a[0] + b[0], a[1] + b[1]];
export const subtract = (a: Interval, b: Interval): Interval => [a[0] - b[1], a[1] - b[0]];
export const shiftLeft = (a: Interval, bits: bigint): Interval => [a[0] << bits, a[1] << bits];
export const shiftRight = (a: Interval, bits: bigint): Interval => [a[0] >> bits, a[1] >> bits];
export const contains = (outer: Interval, inner: Interval): boolean =>
  outer[0] <= inner[0] && inner[1] <= outer[1];
export const signed = (bits: bigint): Interval => [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n];

export function multiply(a: Interval, b: Interval): Interval {
  const corners = [a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]];
  return [corners.reduce((x, y) => (x < y ? x : y)), corners.reduce((x, y) => (x > y ? x : y))];
}
