// Public keys and their tables, in slots. A key that is met again costs no table: CA keys recur in
// every chain. When all slots are taken, the least recently used key goes.

import { coefficientB, isP384, VECTOR, words } from './curve';
import { coordinateFromBytes } from './field';
import { isOnCurve } from './point';
import { buildTable, KEY_POINTS } from './table';

/** Slots, shared by both curves. */
export const SLOTS: i32 = 32;
// A slot: curve (0 empty, 1 P-256, 2 P-384), time of last use, the key's bytes, its table.
const OFFSET_USED: usize = 8;
const OFFSET_KEY: usize = 16;
const OFFSET_TABLE: usize = 112;
const SLOT: usize = 3696; // 112 + 4 * 8 * 2 * 14 * 4
const slots = memory.data(32 * 3696, 8);
const point = memory.data(2 * 56, 8);
let clock: u64 = 0;

/**
 * The table of the key at `source` (x and y, big-endian, of the selected curve), or 0 when that
 * isn't a point of the curve. The cofactor is 1: every point but infinity, which has no such form,
 * generates the whole group (SP 800-56A, 5.6.2.3.4, partial validation is full validation).
 */
export function tableOfKey(source: usize): usize {
  clock++;
  let oldest = slots;
  for (let i = 0; i < SLOTS; i++) {
    const slot = slots + <usize>i * SLOT;
    if (holds(slot, source)) {
      store<u64>(slot, clock, OFFSET_USED);
      return slot + OFFSET_TABLE;
    }
    if (load<u64>(slot, OFFSET_USED) < load<u64>(oldest, OFFSET_USED)) oldest = slot;
  }
  if (!coordinateFromBytes(point, source)) return 0;
  if (!coordinateFromBytes(point + VECTOR, source + 8 * <usize>words)) return 0;
  if (!isOnCurve(point, point + VECTOR, coefficientB())) return 0;
  buildTable(oldest + OFFSET_TABLE, point, KEY_POINTS);
  for (let i: usize = 0; i < 16 * <usize>words; i += 8)
    store<u64>(oldest + OFFSET_KEY + i, load<u64>(source + i));
  store<i32>(oldest, isP384 ? 2 : 1);
  store<u64>(oldest, clock, OFFSET_USED);
  return oldest + OFFSET_TABLE;
}

function holds(slot: usize, source: usize): bool {
  if (load<i32>(slot) != (isP384 ? 2 : 1)) return false;
  for (let i: usize = 0; i < 16 * <usize>words; i += 8)
    if (load<u64>(slot + OFFSET_KEY + i) != load<u64>(source + i)) return false;
  return true;
}
