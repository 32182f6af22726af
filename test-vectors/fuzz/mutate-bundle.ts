import { encodeHex } from '../../src/bytes/hex.js';
import type { Seed } from './corpus.js';
import { mutateBytes } from './mutate-bytes.js';
import { mutateDer, readDer, writeDer } from './mutate-der.js';
import { mutateDocument } from './mutate-document.js';
import type { Random } from './random.js';

// biome-ignore lint/suspicious/noExplicitAny: JSON of unknown shape
type Json = any;

/** A changed copy of a bundle, as an object or as its text. */
export function mutateBundle(random: Random, seed: Seed, other: Seed): object | string {
  const bundle: Json = structuredClone(seed.bundle);
  const foreign: Json = structuredClone(other.bundle);
  const quote = bundle.attestation.tpm.ecc_p256;
  const foreignQuote = foreign.attestation.tpm.ecc_p256;
  switch (random.below(8)) {
    case 0:
      return new TextDecoder().decode(
        mutateBytes(random, utf8(JSON.stringify(bundle)), utf8(JSON.stringify(foreign))),
      );
    case 1:
    case 2:
      mutateJson(random, bundle, foreign);
      break;
    case 3:
      quote.attest_data = mutateHex(random, quote.attest_data, foreignQuote.attest_data);
      break;
    case 4: {
      const tree = readDer(fromHex(quote.signature));
      mutateDer(random, tree, readDer(fromHex(foreignQuote.signature)));
      quote.signature = encodeHex(writeDer(tree));
      break;
    }
    case 5:
      bundle.attestation.nitro.document = encodeHex(mutateDocument(random, seed, other));
      break;
    case 6:
      spliceField(random, bundle, foreign);
      break;
    default: {
      // Any hex anywhere, the key's TPMT_PUBLIC included.
      const [holder, key] = random.pick(leaves(bundle).filter(([, , value]) => isHex(value)));
      holder[key] = mutateHex(random, holder[key], foreignQuote.signature);
    }
  }
  return random.chance(0.5) ? bundle : JSON.stringify(bundle);
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const isHex = (value: unknown): boolean =>
  typeof value === 'string' && value.length > 1 && /^[0-9a-f]+$/.test(value);
const mutateHex = (random: Random, text: string, other: string): string =>
  encodeHex(mutateBytes(random, fromHex(text), fromHex(other)));

type Leaf = readonly [holder: Json, key: string, value: unknown];

/** Every property in the tree, objects included. */
function leaves(holder: Json): Leaf[] {
  return Object.entries(holder).flatMap(([key, value]) => [
    [holder, key, value] as Leaf,
    ...(typeof value === 'object' && value !== null ? leaves(value) : []),
  ]);
}

const ODD_VALUES: readonly (() => unknown)[] = [
  () => null,
  () => 0,
  () => -1,
  () => 1e308,
  () => true,
  () => '',
  () => 'zz',
  () => '0',
  () => '00'.repeat(40_000),
  () => [],
  () => ({}),
  () => [[[[[[[[]]]]]]]],
  () => ({ toString: 1, length: 1e9, constructor: null }),
  () => '\ud800\u0000',
];

function mutateJson(random: Random, bundle: Json, foreign: Json): void {
  const [holder, key, value] = random.pick(leaves(bundle));
  switch (random.below(random.chance(0.3) ? 5 : 4)) {
    case 0:
      delete holder[key];
      break;
    case 1:
      holder[key] = random.pick(ODD_VALUES)();
      break;
    case 2:
      holder[random.pick(['__proto__x', 'gcp', 'constructor', `${key} `, key.toUpperCase()])] =
        value;
      break;
    case 3:
      holder[key] = random.pick(leaves(foreign))[2];
      break;
    default:
      if (typeof value === 'string')
        holder[key] = random.pick([
          value.toUpperCase(),
          ` ${value}`,
          `0x${value}`,
          value.slice(1),
          value + value,
        ]);
  }
}

/** The same field of another bundle: another machine's quote, document, key or nonce. */
function spliceField(random: Random, bundle: Json, foreign: Json): void {
  const [first, second] = [leaves(bundle), leaves(foreign)];
  const index = random.below(Math.min(first.length, second.length));
  const [holder, key] = first[index] as Leaf;
  const match = second.find(([, name]) => name === key);
  if (match) holder[key] = match[2];
}
