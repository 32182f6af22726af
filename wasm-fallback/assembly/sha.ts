// Hashing a message that comes in pieces: blocks and padding (FIPS 180-4, 5.1 and 5.2).

import { compress256, finish256, start256 } from './sha256';
import { compress512, finish512, start512 } from './sha512';

export const SHA_256: i32 = 0;
export const SHA_384: i32 = 1;
export const SHA_512: i32 = 2;

let algorithm: i32 = 0;
let blockSize: usize = 64;
/** Bytes waiting in `block`, and bytes of the whole message so far. */
let waiting: usize = 0;
let total: u64 = 0;
const block = memory.data(128, 8);

export function start(which: i32): void {
  algorithm = which;
  blockSize = which == SHA_256 ? 64 : 128;
  waiting = 0;
  total = 0;
  if (which == SHA_256) start256();
  else start512(which == SHA_384);
}

/** The next `length` bytes of the message. */
export function update(source: usize, length: usize): void {
  total += length;
  while (length > 0) {
    if (waiting == 0 && length >= blockSize) {
      compress(source);
      source += blockSize;
      length -= blockSize;
      continue;
    }
    store<u8>(block + waiting++, load<u8>(source++));
    length--;
    if (waiting == blockSize) {
      compress(block);
      waiting = 0;
    }
  }
}

/** Pads with a one bit, zeros and the length in bits; writes the digest. */
export function finish(out: usize): void {
  store<u8>(block + waiting++, 0x80);
  // The length takes 8 bytes of a short block, 16 of a long one: the upper 8 are always zero here.
  if (waiting > blockSize - blockSize / 8) {
    while (waiting < blockSize) store<u8>(block + waiting++, 0);
    compress(block);
    waiting = 0;
  }
  while (waiting < blockSize - 8) store<u8>(block + waiting++, 0);
  store<u64>(block + waiting, bswap<u64>(total << 3));
  compress(block);
  if (algorithm == SHA_256) finish256(out);
  else finish512(out, algorithm == SHA_384 ? 48 : 64);
}

function compress(source: usize): void {
  if (algorithm == SHA_256) compress256(source);
  else compress512(source);
}
