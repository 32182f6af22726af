import { concatBytes } from '../../src/bytes/bytes.js';
import type { Random } from './random.js';

/** Values that parsers are often wrong about. */
const EDGES = [0x00, 0x01, 0x7f, 0x80, 0x81, 0xff, 0x1f, 0x30, 0x5f, 0x9f, 0xbf, 0xf6, 0xfb];

/** Changes bytes without knowing what they mean; `other` is where splices come from. */
export function mutateBytes(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const at = random.below(bytes.length + 1);
  const size = 1 + random.below(random.chance(0.2) ? 200 : 8);
  switch (random.below(9)) {
    case 0:
      return flipBits(random, bytes, 1);
    case 1:
      return flipBits(random, bytes, 1 + random.below(16));
    case 2: {
      const copy = new Uint8Array(bytes);
      copy[at] = random.pick(EDGES);
      return copy;
    }
    case 3:
      return bytes.slice(0, at);
    case 4:
      return concatBytes(bytes.subarray(0, at), bytes.subarray(at + size));
    case 5:
      return concatBytes(bytes.subarray(0, at), random.bytes(size), bytes.subarray(at));
    case 6:
      return concatBytes(bytes.subarray(0, at + size), bytes.subarray(at));
    case 7: {
      const from = random.below(other.length);
      const piece = other.subarray(from, from + size);
      return concatBytes(bytes.subarray(0, at), piece, bytes.subarray(at + piece.length));
    }
    default:
      return concatBytes(bytes.subarray(0, at), other.subarray(at));
  }
}

function flipBits(random: Random, bytes: Uint8Array, count: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  for (let i = 0; i < count && copy.length > 0; i++) {
    const at = random.below(copy.length);
    copy[at] = (copy[at] as number) ^ (1 << random.below(8));
  }
  return copy;
}
