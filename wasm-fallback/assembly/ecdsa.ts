// ECDSA signature verification, FIPS 186-5, 6.4.2.

import { addSigned, compare, limbsFromBytes, modulusP, orderN, r2ModP, selectCurve, VECTOR, words } from './curve';
import { isZero, mul, mulSub, sqr } from './field';
import { tableOfKey } from './keys';
import { isInfinity, multiScalar, result } from './multi-scalar';
import { divideBy, isScalar } from './scalar';

const r = memory.data(56, 8);
const s = memory.data(56, 8);
const h = memory.data(56, 8);
const u1 = memory.data(56, 8);
const u2 = memory.data(56, 8);
const zSquared = memory.data(56, 8);
const difference = memory.data(56, 8);

/**
 * Whether the signature (r || s) over the hash verifies under the key (x || y). All big-endian, of
 * the curve's length: 32 bytes each for P-256, 48 for P-384; the hash is exactly as long as n, so
 * that no bits are cut.
 */
export function verifyHash(p384: bool, hash: usize, key: usize, signature: usize): bool {
  selectCurve(p384);
  limbsFromBytes(r, signature);
  limbsFromBytes(s, signature + 8 * <usize>words);
  if (!isScalar(r) || !isScalar(s)) return false;
  const table = tableOfKey(key);
  if (!table) return false;
  limbsFromBytes(h, hash);
  divideBy(s, h, u1, r, u2);
  multiScalar(u1, u2, table);
  if (isInfinity) return false;
  if (matches()) return true;
  // The x of the result is below p, r below n < p: x mod n = r also when x = r + n.
  addSigned(r, r, orderN(), 1);
  return compare(r, modulusP()) < 0 && matches();
}

/** Whether r = X / Z^2 mod p, without a division: r Z^2 = X. */
function matches(): bool {
  mul(difference, r, r2ModP());
  sqr(zSquared, result + 2 * VECTOR);
  mulSub(difference, difference, zSquared, result, 0);
  return isZero(difference);
}
