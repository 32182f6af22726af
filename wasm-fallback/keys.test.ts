import { describe, expect, it } from 'vitest';
import { type CurveNumbers, multiplyPoint, P256, P384 } from './test-support/curves.js';
import { Layers } from './test-support/layers.js';

describe('key slots', () => {
  const key = (layers: Layers, curve: CurveNumbers, k: bigint): number => {
    const point = multiplyPoint(curve, k, curve.g);
    if (!point) throw new Error('infinity');
    layers.ec.select(curve.p384);
    const source = layers.at(0);
    const size = curve.bytes;
    layers.bytes.set(Buffer.from(point[0].toString(16).padStart(2 * size, '0'), 'hex'), source);
    layers.bytes.set(
      Buffer.from(point[1].toString(16).padStart(2 * size, '0'), 'hex'),
      source + size,
    );
    return layers.ec.tableOfKey(source);
  };

  it('keep 32 keys of both curves and give up the least recently used', async () => {
    const layers = await Layers.build(P256);
    const curveOf = (i: number) => (i % 2 ? P384 : P256);
    const tables = Array.from({ length: 32 }, (_, i) => key(layers, curveOf(i), BigInt(i + 2)));
    expect(new Set(tables).size).toBe(32);
    expect(tables).not.toContain(0);
    // All are kept; using them in another order makes number 5 the oldest, then number 4.
    for (const i of [5, 4, ...Array(32).keys()].filter((i, at) => at < 2 || (i !== 5 && i !== 4)))
      expect(key(layers, curveOf(i), BigInt(i + 2))).toBe(tables[i]);
    expect(key(layers, P384, 100n)).toBe(tables[5]);
    expect(key(layers, P256, 101n)).toBe(tables[4]);
    expect(key(layers, P384, 100n)).toBe(tables[5]);
    // Number 5 is no longer known: it takes the place of the one that is now the oldest, number 0.
    expect(key(layers, P384, 7n)).toBe(tables[0]);
    expect(key(layers, P256, 3n + 0n)).not.toBe(0);
  });

  it('do not give a slot to what is not a point, nor lose one to it', async () => {
    const layers = await Layers.build(P256);
    const tables = Array.from({ length: 32 }, (_, i) => key(layers, P256, BigInt(i + 2)));
    for (let i = 0; i < 64; i++) {
      layers.setBytes(layers.at(0), BigInt(i));
      layers.setBytes(layers.at(0) + 32, 1n);
      expect(layers.ec.tableOfKey(layers.at(0))).toBe(0);
    }
    for (const [i, table] of tables.entries()) expect(key(layers, P256, BigInt(i + 2))).toBe(table);
  });

  it('tell the curves apart', async () => {
    const layers = await Layers.build(P256);
    const first = key(layers, P256, 5n);
    layers.ec.select(P384.p384);
    // The same bytes, and zeros: not a point of P-384.
    layers.bytes.fill(0, layers.at(0) + 64, layers.at(0) + 96);
    expect(layers.ec.tableOfKey(layers.at(0))).toBe(0);
    expect(key(layers, P256, 5n)).toBe(first);
  });
});
