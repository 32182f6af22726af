import type { Seed } from './corpus.js';
import { mutateBytes } from './mutate-bytes.js';
import { type CborNode, mutateCbor, readCbor, writeCbor } from './mutate-cbor.js';
import { mutateDer, readDer, writeDer } from './mutate-der.js';
import type { Random } from './random.js';

/** A changed copy of a document; `other` is where foreign pieces come from. */
export function mutateDocument(random: Random, seed: Seed, other: Seed): Uint8Array {
  const times = random.chance(0.8) ? 1 : 1 + random.below(4);
  switch (random.below(8)) {
    case 0:
    case 1: {
      let bytes: Uint8Array = seed.document;
      for (let i = 0; i < times; i++) bytes = mutateBytes(random, bytes, other.document);
      return bytes;
    }
    case 2:
    case 3:
      return editEnvelope(seed, (envelope) => {
        const foreign = readCbor(other.document);
        for (let i = 0; i < times; i++) mutateCbor(random, envelope, foreign);
      });
    case 4:
    case 5:
      return editPayload(seed, (payload) => {
        const foreign = readPayload(other);
        for (let i = 0; i < times; i++) mutateCbor(random, payload, foreign);
      });
    case 6:
      return editPayload(seed, (payload) => {
        const certificates = certificateNodes(payload);
        const foreign = readDer(random.pick(certificateNodes(readPayload(other))).bytes);
        for (let i = 0; i < times; i++) {
          const certificate = random.pick(certificates);
          const tree = readDer(certificate.bytes);
          mutateDer(random, tree, foreign);
          certificate.bytes = writeDer(tree);
        }
      });
    default:
      return spliceParts(random, seed, other);
  }
}

/** The array of four, whether tagged or not. */
const parts = (envelope: CborNode): CborNode =>
  envelope.major === 6 ? (envelope.items[0] as CborNode) : envelope;

const payloadNode = (envelope: CborNode): CborNode => parts(envelope).items[2] as CborNode;

const readPayload = (seed: Seed): CborNode => readCbor(payloadNode(readCbor(seed.document)).bytes);

function editEnvelope(seed: Seed, edit: (envelope: CborNode) => void): Uint8Array {
  const envelope = readCbor(seed.document);
  edit(envelope);
  return writeCbor(envelope);
}

function editPayload(seed: Seed, edit: (payload: CborNode) => void): Uint8Array {
  return editEnvelope(seed, (envelope) => {
    const node = payloadNode(envelope);
    const payload = readCbor(node.bytes);
    edit(payload);
    node.bytes = writeCbor(payload);
  });
}

function certificateNodes(payload: CborNode): CborNode[] {
  return [field(payload, 'certificate'), ...field(payload, 'cabundle').items];
}

function field(payload: CborNode, name: string): CborNode {
  const { items } = payload;
  const at = items.findIndex(
    (item, i) => i % 2 === 0 && Buffer.from(item.bytes).toString() === name,
  );
  return items[at + 1] as CborNode;
}

/** Header, payload or signature of one document in another, or a field of one payload in another. */
function spliceParts(random: Random, seed: Seed, other: Seed): Uint8Array {
  if (random.chance(0.5))
    return editEnvelope(seed, (envelope) => {
      const at = random.below(4);
      parts(envelope).items[at] = parts(readCbor(other.document)).items[at] as CborNode;
    });
  return editPayload(seed, (payload) => {
    const foreign = readPayload(other);
    const at = random.below(Math.min(foreign.items.length, payload.items.length));
    payload.items[at] = foreign.items[at] as CborNode;
  });
}
