import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fieldSource } from './generate-field.mjs';
import { type CurveNumbers, P256, P384 } from './test-support/curves.js';
import { contains, type Interval } from './test-support/interval.js';
import { type Element, IntervalField } from './test-support/interval-field.js';
import { parseStraightLines, runOverIntervals } from './test-support/straight-line.js';

// The sources of point.ts, table.ts, multi-scalar.ts and ecdsa.ts themselves run here, as
// TypeScript, over IntervalField in place of field.ts: no copy of a formula that could differ.

const VECTOR = 56;
const globals = globalThis as unknown as Record<string, unknown>;

/** Bounds stated in point.ts, in multiples of p. */
const COORDINATE: readonly [bigint, bigint] = [-10n, 4n];

async function source<T>(name: string): Promise<T> {
  return (await import(/* @vite-ignore */ `./assembly/${name}.ts`)) as T;
}

const PRODUCT: readonly [bigint, bigint] = [-3n, 3n];

/** Mocks what lies below the curve's formulas, and AssemblyScript's own globals. */
function prepare(curve: CurveNumbers): IntervalField {
  const field = new IntervalField(curve.limbs, curve.p);
  let free = VECTOR;
  globals.memory = {
    data(size: number): number {
      const address = free;
      free += Math.max(size, VECTOR);
      field.memory.set(address, field.normal([0n, 0n])); // memory starts as zeros
      return address;
    },
  };
  const reserve = (value: Interval): number => {
    const address = (globals.memory as { data(size: number): number }).data(VECTOR);
    field.memory.set(address, field.normal(value));
    return address;
  };
  const reduced: Interval = [0n, curve.p - 1n];
  const anyWord: Interval = [0n, 2n ** BigInt(8 * curve.bytes) - 1n];
  const [oneAt, r2At, bAt, x] = [
    reserve(reduced),
    reserve(reduced),
    reserve(reduced),
    reserve(reduced),
  ];
  reserve(reduced); // y, right behind x
  const pAt = reserve([curve.p, curve.p]);
  vi.doMock('./assembly/field.ts', () => ({ ...field, mul: field.mul }));
  vi.doMock('./assembly/curve.ts', () => ({
    VECTOR,
    limbs: curve.limbs,
    words: curve.bytes / 8,
    isP384: curve.p384 === 1,
    one: () => oneAt,
    r2ModP: () => r2At,
    coefficientB: () => bAt,
    basePoint: () => x,
    modulusP: () => pAt,
    orderN: () => pAt,
    selectCurve: () => undefined,
    limbsFromBytes: (out: number) => field.memory.set(out, field.normal(anyWord)),
    addSigned: (out: number) => field.memory.set(out, field.normal([0n, curve.p - 1n])),
    compare: () => -1,
    copyVector: (out: number, a: number) => field.memory.set(out, field.at(a)),
  }));
  return field;
}

afterEach(() => {
  vi.doUnmock('./assembly/field.ts');
  vi.doUnmock('./assembly/curve.ts');
  vi.doUnmock('./assembly/scalar.ts');
  vi.doUnmock('./assembly/keys.ts');
  vi.resetModules();
  delete globals.memory;
  delete globals.load;
  delete globals.store;
});

const multiplesOfP = (field: IntervalField, [low, high]: readonly [bigint, bigint]): Interval => [
  low * field.p,
  high * field.p,
];
const isWithin = (field: IntervalField, element: Element, bounds: readonly [bigint, bigint]) =>
  field.isNormal(element) && contains(multiplesOfP(field, bounds), element.value);

interface PointModule {
  double(out: number, a: number): void;
  addAffine(a: number, x: number, y: number): number;
  isOnCurve(x: number, y: number, b: number): boolean;
}

describe('the generated code', () => {
  it('is what generate-field.mjs writes', () => {
    const committed = new URL('assembly/field-unrolled.ts', import.meta.url);
    expect(readFileSync(committed, 'utf8') === fieldSource()).toBe(true);
  });

  it.each([P256, P384])('overflows just above the stated bound: $name', ({ limbs }) => {
    const code = parseStraightLines(fieldSource()).get(`mul${limbs}`);
    const operand = (factor: bigint): Interval[] =>
      Array.from({ length: limbs }, () => [-factor * 2n ** 28n, factor * 2n ** 28n]);
    const run = (factor: bigint) => () => {
      if (!code) throw new Error('no such function');
      return runOverIntervals(code, { limbs: { a: operand(1n), b: operand(factor) }, shift: 0n });
    };
    expect(run(9n)).not.toThrow();
    expect(run(limbs === 14 ? 10n : 13n)).toThrow('64 bits may overflow');
  });
});

describe.each([P256, P384])('limbs never overflow: $name', (curve) => {
  it('coordinates within the bounds of point.ts stay within them', async () => {
    const field = prepare(curve);
    const point = await source<PointModule>('point');
    const bound = multiplesOfP(field, COORDINATE);
    const begin = (at: number) => {
      for (let i = 0; i < 3; i++) field.memory.set(at + i * VECTOR, field.normal(bound));
    };
    const a = 1_000_000;
    begin(a);
    point.double(a, a);
    for (let i = 0; i < 3; i++)
      expect(isWithin(field, field.at(a + i * VECTOR), COORDINATE), `double, ${i}`).toBe(true);

    // A table's point: a product, or the negative of one.
    const entry = multiplesOfP(field, PRODUCT);
    const lazy = { limbs: Array(curve.limbs).fill([-(2n ** 28n), 2n ** 28n]), value: entry };
    begin(a);
    field.memory.set(a + 3 * VECTOR, field.normal(entry));
    field.memory.set(a + 4 * VECTOR, lazy);
    expect(point.addAffine(a, a + 3 * VECTOR, a + 4 * VECTOR)).toBe(0);
    for (let i = 0; i < 3; i++)
      expect(isWithin(field, field.at(a + i * VECTOR), COORDINATE), `addAffine, ${i}`).toBe(true);
    expect(field.products).toBe(8 + 11);
    expect(contains(multiplesOfP(field, PRODUCT), field.widestProduct)).toBe(true);
  });

  it('a whole verification stays within them: key check, tables, multi-scalar, comparison', async () => {
    const field = prepare(curve);
    const bits = 8 * curve.bytes;
    // The first load asks whether the base point's table is built: not yet. All others are of digits:
    // about as many as a real scalar has are not zero.
    let loads = 0;
    let seed = 1;
    globals.load = (): number => {
      if (loads++ === 0) return 0;
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return (seed >> 16) % 4 === 0 ? ([15, -15, 1, -1][(seed >> 20) % 4] as number) : 0;
    };
    globals.store = () => undefined;
    vi.doMock('./assembly/scalar.ts', () => ({
      wnaf: (_digits: number, _scalar: number, length: number) => expect(length).toBe(bits),
      divideBy: () => undefined,
      isScalar: () => true,
    }));
    const point = await source<PointModule>('point');
    const { buildTable } = await source<{ buildTable(t: number, p: number, n: number): void }>(
      'table',
    );
    vi.doMock('./assembly/keys.ts', () => ({
      tableOfKey: () => {
        const [x, table] = [2_000_000, 3_000_000];
        for (const at of [x, x + VECTOR]) {
          field.memory.set(at, field.normal([0n, 2n ** BigInt(bits) - 1n]));
          field.memory.set(at - 1, field.normal([0n, curve.p - 1n]));
          field.mul(at, at, at - 1); // coordinateFromBytes
        }
        field.memory.set(x - 2, field.normal([0n, curve.p - 1n]));
        point.isOnCurve(x, x + VECTOR, x - 2);
        buildTable(table, x, 8);
        return table;
      },
    }));
    const multi = await source<{ result: number }>('multi-scalar');
    const { verifyHash } = await source<{
      verifyHash(p384: boolean, hash: number, key: number, signature: number): boolean;
    }>('ecdsa');
    expect(verifyHash(curve.p384 === 1, 0, 0, 0)).toBe(false);
    for (let i = 0; i < 3; i++)
      expect(isWithin(field, field.at(multi.result + i * VECTOR), COORDINATE), `${i}`).toBe(true);
    expect(field.products).toBeGreaterThan(2 * bits * 8); // two tables, one multi-scalar
    expect(contains(multiplesOfP(field, PRODUCT), field.widestProduct)).toBe(true);
  });
});
