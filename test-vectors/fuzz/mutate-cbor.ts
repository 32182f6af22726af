import { concatBytes } from '../../src/bytes/bytes.js';
import { BREAK, head } from '../mint/raw-cbor.js';
import { mutateBytes } from './mutate-bytes.js';
import type { Random } from './random.js';

/** A CBOR item as a tree that can be written back, also in ways nobody should write it. */
export interface CborNode {
  major: number;
  argument: bigint;
  indefinite: boolean;
  /** Contents of strings. */
  bytes: Uint8Array;
  /** Items of arrays, tags; keys and values of maps in turn. */
  items: CborNode[];
  /** Bytes in place of all the above. */
  raw?: Uint8Array;
  /** Width of the argument in bytes, when it is not the shortest. */
  width?: number;
}

/** Reads well-formed CBOR (only ours: no checks). */
export function readCbor(bytes: Uint8Array): CborNode {
  let at = 0;
  const read = (): CborNode => {
    const initial = bytes[at++] as number;
    const major = initial >> 5;
    const info = initial & 31;
    let argument = BigInt(info);
    if (info >= 24 && info < 28) {
      argument = 0n;
      for (let i = 0; i < 1 << (info - 24); i++)
        argument = (argument << 8n) | BigInt(bytes[at++] as number);
    }
    const node: CborNode = {
      major,
      argument,
      indefinite: info === 31,
      bytes: new Uint8Array(0),
      items: [],
    };
    if (major === 7) node.raw = bytes.slice(at - (info < 24 ? 1 : 1 + (1 << (info - 24))), at);
    else if (node.indefinite) {
      while (bytes[at] !== 0xff) node.items.push(read());
      at++;
    } else if (major === 2 || major === 3) {
      node.bytes = bytes.slice(at, at + Number(argument));
      at += Number(argument);
    } else if (major >= 4) {
      const count = major === 6 ? 1 : Number(argument) * (major === 5 ? 2 : 1);
      for (let i = 0; i < count; i++) node.items.push(read());
    }
    return node;
  };
  return read();
}

/** Writes a tree; counts and lengths follow its contents. */
export function writeCbor(node: CborNode): Uint8Array {
  if (node.raw !== undefined) return node.raw;
  const { major, width } = node;
  const items = node.items.map(writeCbor);
  if (node.indefinite) {
    const parts = major === 2 || major === 3 ? [head(major, node.bytes.length), node.bytes] : [];
    return concatBytes(Uint8Array.of((major << 5) | 31), ...parts, ...items, BREAK);
  }
  if (major === 2 || major === 3)
    return concatBytes(head(major, node.bytes.length, width), node.bytes);
  if (major === 4) return concatBytes(head(4, items.length, width), ...items);
  if (major === 5) return concatBytes(head(5, Math.ceil(items.length / 2), width), ...items);
  return concatBytes(head(major, node.argument, width), ...items);
}

/** Every node of a tree. */
export function cborNodes(node: CborNode): CborNode[] {
  return [node, ...node.items.flatMap(cborNodes)];
}

/** Makes one change somewhere in the tree; `other` is where items are taken from. */
export function mutateCbor(random: Random, root: CborNode, other: CborNode): void {
  const node = random.pick(cborNodes(root));
  const { items } = node;
  const at = random.below(items.length + 1);
  switch (random.below(14)) {
    case 0:
      if (node.bytes.length > 0) node.bytes = mutateBytes(random, node.bytes, node.bytes);
      else node.argument ^= 1n << BigInt(random.below(64));
      break;
    case 1:
      items.splice(at, 1);
      break;
    case 2:
      if (items[at]) items.splice(at, 0, structuredClone(items[at]));
      break;
    case 3:
      items.splice(at, random.below(2), structuredClone(random.pick(cborNodes(other))));
      break;
    case 4: {
      const to = random.below(items.length);
      const [moved] = items.splice(at, 1);
      if (moved) items.splice(to, 0, moved);
      break;
    }
    case 5:
      node.indefinite = !node.indefinite;
      break;
    case 6:
      node.width = random.pick([1, 2, 4, 8]);
      break;
    case 7:
      node.major = random.below(7);
      break;
    case 8:
      node.raw = head(random.below(7), random.pick(HUGE));
      break;
    case 9:
      node.raw = concatBytes(head(6, random.below(64)), writeCbor(node));
      break;
    case 10:
      node.raw = Uint8Array.of(random.below(256));
      break;
    case 11:
      node.raw = concatBytes(
        new Uint8Array(random.pick([2, 9, 100, 5000])).fill(random.pick([0x81, 0x9f, 0xbf, 0xc1])),
        writeCbor(node),
      );
      break;
    case 12:
      node.argument = random.pick(HUGE);
      node.bytes = random.bytes(random.pick([0, 1, 31, 32, 33, 47, 48, 49, 1024, 1025]));
      break;
    default:
      node.raw = writeCbor(structuredClone(random.pick(cborNodes(other))));
  }
}

const HUGE = [
  0n,
  1n,
  23n,
  24n,
  255n,
  65_535n,
  0xffff_ffffn,
  1n << 32n,
  (1n << 53n) + 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];
