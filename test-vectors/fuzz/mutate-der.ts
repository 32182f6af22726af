import { concatBytes } from '../../src/bytes/bytes.js';
import { locate, tlv } from '../mint/raw-der.js';
import { mutateBytes } from './mutate-bytes.js';
import type { Random } from './random.js';

/** A DER element as a tree. */
export interface DerNode {
  tag: number;
  contents: Uint8Array;
  items: DerNode[];
  raw?: Uint8Array;
  lengthWidth?: number;
}

/** Reads well-formed DER; constructed elements are opened. */
export function readDer(bytes: Uint8Array, at = 0): DerNode {
  const { tag, contentStart, end } = locate(bytes, at);
  const node: DerNode = { tag, contents: bytes.slice(contentStart, end), items: [] };
  if (tag & 0x20)
    for (let next = contentStart; next < end; next = locate(bytes, next).end)
      node.items.push(readDer(bytes, next));
  return node;
}

/** Writes a tree; lengths follow its contents. */
export function writeDer(node: DerNode): Uint8Array {
  if (node.raw !== undefined) return node.raw;
  const contents = node.items.length > 0 ? concatBytes(...node.items.map(writeDer)) : node.contents;
  return tlv(node.tag, contents, node.lengthWidth);
}

const nodesOf = (node: DerNode): DerNode[] => [node, ...node.items.flatMap(nodesOf)];

const TAGS = [
  0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x17, 0x18, 0x30, 0x31, 0x80, 0xa0, 0xa3, 0x1f,
  0x3f,
];

/** Makes one change somewhere in the tree; `other` is where elements are taken from. */
export function mutateDer(random: Random, root: DerNode, other: DerNode): void {
  const node = random.pick(nodesOf(root));
  const { items } = node;
  const at = random.below(items.length + 1);
  switch (random.below(11)) {
    case 0:
      node.tag = random.pick(TAGS);
      break;
    case 1:
      if (items.length === 0) node.contents = mutateBytes(random, node.contents, node.contents);
      break;
    case 2:
      items.splice(at, 1);
      break;
    case 3:
      if (items[at]) items.splice(at, 0, structuredClone(items[at]));
      break;
    case 4:
      items.splice(at, random.below(2), structuredClone(random.pick(nodesOf(other))));
      break;
    case 5:
      items.reverse();
      break;
    case 6:
      node.lengthWidth = 1 + random.below(3);
      break;
    case 7: {
      const written = writeDer(node);
      node.raw = concatBytes(
        written.subarray(0, 1),
        Uint8Array.of(0x80),
        written.subarray(2),
        new Uint8Array(2),
      );
      break;
    }
    case 8: {
      const written = new Uint8Array(writeDer(node));
      written[1] = random.below(256);
      node.raw = written;
      break;
    }
    case 9:
      node.raw = concatBytes(
        ...Array.from({ length: random.pick([1, 10, 150]) }, () => Uint8Array.of(0x30, 0x80)),
        writeDer(node),
      );
      break;
    default:
      node.raw = writeDer(random.pick(nodesOf(other)));
  }
}
