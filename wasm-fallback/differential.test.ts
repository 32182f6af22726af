import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createNobleProvider } from '../src/crypto/noble-provider.js';
import { type CurveNumbers, fromBytes, P256, P384, toBytes } from './test-support/curves.js';
import { type EcdsaKey, ecdsaKey, jwk, signWith } from './test-support/ecdsa-key.js';
import { Random } from './test-support/random.js';
import { ecWasm, wasm } from './test-support/shipped.js';

// Valid signatures and every kind of change to them: the verdict must be node:crypto's, and, for
// every eightieth case, noble's.

interface Case {
  readonly kind: string;
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly message: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
}

const flip = (bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> => {
  const changed = Uint8Array.from(bytes);
  changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
  return changed;
};

function cases(key: EcdsaKey, other: EcdsaKey, random: Random): Case[] {
  const { curve, publicKey } = key;
  const { bytes, n, p } = curve;
  const message = random.bytes(random.integer(400));
  const signature = signWith(key, message);
  const [r, s] = [fromBytes(signature.subarray(0, bytes)), fromBytes(signature.subarray(bytes))];
  const fixed = (r: bigint, s: bigint) =>
    Uint8Array.from([...toBytes(r, bytes), ...toBytes(s, bytes)]);
  const valid = { kind: 'valid', publicKey, message, signature };
  const special = () =>
    random.pick([0n, 1n, n - 1n, n, n + 1n, p, p - n, (1n << BigInt(8 * bytes)) - 1n]);
  const bits = 8 * bytes;
  return [
    valid,
    { ...valid, kind: 'n - s', signature: fixed(r, n - s) },
    { ...valid, kind: 'bit of r', signature: flip(signature, random.integer(bits)) },
    { ...valid, kind: 'bit of s', signature: flip(signature, bits + random.integer(bits)) },
    {
      ...valid,
      kind: 'bit of message',
      message: message.length
        ? flip(message, random.integer(8 * message.length))
        : new Uint8Array(1),
    },
    { ...valid, kind: 'bit of key', publicKey: flip(publicKey, 8 + random.integer(2 * bits)) },
    { ...valid, kind: 'other key', publicKey: other.publicKey },
    { ...valid, kind: 'swapped', signature: fixed(s, r) },
    { ...valid, kind: 'n - r', signature: fixed(n - r, s) },
    { ...valid, kind: 'special r', signature: fixed(special(), s) },
    { ...valid, kind: 'special s', signature: fixed(r, special()) },
    { ...valid, kind: 'special', signature: fixed(special(), special()) },
    { ...valid, kind: 'random', signature: fixed(random.big(n), random.big(n)) },
    { ...valid, kind: 'longer message', message: Uint8Array.from([...message, 0]) },
    {
      ...valid,
      kind: 'other y',
      publicKey: Uint8Array.from([
        ...publicKey.subarray(0, 1 + bytes),
        ...toBytes(p - fromBytes(publicKey.subarray(1 + bytes)), bytes),
      ]),
    },
    valid,
  ];
}

const imported = new Map<string, KeyObject | undefined>();
function nodeVerdict(curve: CurveNumbers, { publicKey, message, signature }: Case): boolean {
  const name = Buffer.from(publicKey).toString('latin1');
  if (!imported.has(name)) {
    let key: KeyObject | undefined;
    try {
      key = createPublicKey({ format: 'jwk', key: jwk(curve, publicKey) });
    } catch {
      // not a point
    }
    imported.set(name, key);
  }
  const key = imported.get(name);
  return (
    key !== undefined && verify(curve.hash, message, { key, dsaEncoding: 'ieee-p1363' }, signature)
  );
}

describe.each([
  { curve: P256, signatures: 850 },
  { curve: P384, signatures: 450 },
])('$curve.name', ({ curve, signatures }) => {
  it('agrees with node:crypto and noble', () => {
    const { sync } = wasm();
    const noble = createNobleProvider().sync;
    const random = new Random(curve.bytes);
    // More keys than slots: some are found again, others not.
    const keys = Array.from({ length: 48 }, (_, i) => ecdsaKey(curve, `key ${i}`));
    const verdicts = { true: 0, false: 0 };
    for (let i = 0, run = 0; i < signatures; i++) {
      for (const one of cases(random.pick(keys), random.pick(keys), random)) {
        const verdict = sync.verify(curve.algorithm, one.publicKey, one.message, one.signature);
        const describeCase = () =>
          JSON.stringify(one, (_, value) =>
            value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
          );
        const expected = nodeVerdict(curve, one);
        if (verdict !== expected) expect.fail(`node:crypto says ${expected}: ${describeCase()}`);
        if (one.kind === 'valid' && !verdict) expect.fail(`valid: ${describeCase()}`);
        if (run++ % 80 === 0) {
          const third = noble?.verify(curve.algorithm, one.publicKey, one.message, one.signature);
          if (verdict !== third) expect.fail(`noble says ${third}: ${describeCase()}`);
        }
        verdicts[`${verdict}`]++;
      }
    }
    expect(verdicts.true).toBeGreaterThanOrEqual(3 * signatures);
    expect(verdicts.false).toBeGreaterThan(11 * signatures);
  });
});

it('makes at least 20,000 comparisons', () => {
  expect((850 + 450) * 16).toBeGreaterThanOrEqual(20_000);
});

it('has memory that cannot grow, over many keys, messages and hashes', () => {
  const { sync } = wasm();
  const instance = new WebAssembly.Instance(new WebAssembly.Module(ecWasm));
  const memory = instance.exports.memory as WebAssembly.Memory;
  const size = memory.buffer.byteLength;
  expect(size).toBe(4 * 65536);
  expect(() => memory.grow(1)).toThrow(RangeError);
  const before = process.memoryUsage();
  const key = ecdsaKey(P256, 'memory');
  const message = new Uint8Array(100);
  const signature = signWith(key, message);
  for (let i = 0; i < 20_000; i++) sync.verify('ES256', key.publicKey, message, signature);
  const after = process.memoryUsage();
  // The verifications themselves keep nothing: what is left is noise of the collector.
  expect(after.external - before.external).toBeLessThan(1 << 20);
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(1 << 20);
});
