import { readFileSync } from 'node:fs';
import { add, contains, type Interval, multiply, shiftLeft, signed, subtract } from './interval.js';
import { parseStraightLines, runOverIntervals } from './straight-line.js';

/** What is known of a vector: where each limb lies, and where the value that they make lies. */
export interface Element {
  readonly limbs: readonly Interval[];
  readonly value: Interval;
}

const LIMB: Interval = [0n, 2n ** 28n - 1n];
const CODE = parseStraightLines(
  readFileSync(new URL('../assembly/field-unrolled.ts', import.meta.url), 'utf8'),
);

/**
 * Stands in for assembly/field.ts: the same functions on the same addresses, over intervals instead
 * of limbs. Every operation runs the generated code of its curve and throws if it may overflow.
 */
export class IntervalField {
  readonly memory: Map<number, Element> = new Map();
  /** How many multiplications ran. */
  products: number = 0;
  /** Where all products lay, before anything was subtracted. */
  widestProduct: Interval = [0n, 0n];
  readonly #radix: bigint;
  readonly #results = new Map<string, Element>();

  constructor(
    readonly limbCount: number,
    readonly p: bigint,
  ) {
    this.#radix = 2n ** BigInt(28 * limbCount);
  }

  at(address: number): Element {
    const element = this.memory.get(address);
    if (!element) throw new Error(`nothing was ever written at ${address}`);
    return element;
  }

  /** An element with all limbs in [0, 2^28) but the top one, which follows from the value. */
  normal(value: Interval): Element {
    const top = 28n * BigInt(this.limbCount - 1);
    const limbs: Interval[] = Array(this.limbCount - 1).fill(LIMB);
    limbs.push([value[0] >> top, value[1] >> top]);
    return { limbs, value };
  }

  isNormal(element: Element): boolean {
    return this.normal(element.value).limbs.every((limb, i) =>
      contains(limb, element.limbs[i] as Interval),
    );
  }

  mul = (out: number, a: number, b: number): void => this.#multiply('mul', out, a, b);
  sqr = (out: number, a: number): void => this.#multiply('sqr', out, a, a);
  mulSub = (out: number, a: number, b: number, c: number, shift: number): void =>
    this.#multiply('mulSub', out, a, b, c, shift);
  sqrSub = (out: number, a: number, c: number, shift: number): void =>
    this.#multiply('sqrSub', out, a, a, c, shift);

  addShl = (out: number, a: number, b: number, shift: number): void =>
    this.#linear('addShl', out, a, b, shift, (x, y) => add(x, shiftLeft(y, BigInt(shift))));
  shlSub = (out: number, a: number, shift: number, b: number): void =>
    this.#linear('shlSub', out, a, b, shift, (x, y) => subtract(shiftLeft(x, BigInt(shift)), y));

  /** The conditions of isZero in field.ts; answers no, so that the common path goes on. */
  isZero = (a: number): boolean => {
    const element = this.at(a);
    if (!this.isNormal(element)) throw new Error('isZero of lazy limbs');
    if (!contains([-15n * this.p + 1n, 15n * this.p - 1n], element.value))
      throw new Error(`isZero of ${element.value}`);
    return false;
  };

  /** |invert(a)| <= 20 p, then a multiplication by R^3 mod p: see invert.ts and field.ts. */
  inverse = (out: number, a: number): void => {
    const element = this.at(a);
    if (!this.isNormal(element) || !contains([1n - 2n * this.p, 2n * this.p - 1n], element.value))
      throw new Error(`inverse of ${element.value}`);
    this.memory.set(-1, this.normal([-20n * this.p, 20n * this.p]));
    this.memory.set(-2, this.normal([0n, this.p - 1n]));
    this.mul(out, -1, -2);
  };

  /** value = (a b + q p) / R - c 2^shift, with 0 <= q < R: the definition of the reduction. */
  #multiply(name: string, out: number, a: number, b: number, c?: number, shift = 0): void {
    this.products++;
    const operands = [this.at(a), this.at(b), ...(c === undefined ? [] : [this.at(c)])];
    const key = `${name} ${shift} ${operands.map((x) => `${x.value} ${x.limbs}`).join('|')}`;
    const known = this.#results.get(key);
    if (known) {
      this.memory.set(out, known);
      return;
    }
    const [first, second, third] = operands as [Element, Element, Element?];
    this.#run(name, { a: first.limbs, b: second.limbs, c: third?.limbs ?? [] }, shift);
    const sum = add(multiply(first.value, second.value), [0n, (this.#radix - 1n) * this.p]);
    let value: Interval = [floorDivide(sum[0], this.#radix), floorDivide(sum[1], this.#radix) + 1n];
    const [low, high] = this.widestProduct;
    this.widestProduct = [value[0] < low ? value[0] : low, value[1] > high ? value[1] : high];
    if (third) value = subtract(value, shiftLeft(third.value, BigInt(shift)));
    const result = this.normal(value);
    if (!contains(signed(32n), result.limbs[this.limbCount - 1] as Interval))
      throw new Error(`${name}: the top limb may overflow`);
    this.#results.set(key, result);
    this.memory.set(out, result);
  }

  #linear(
    name: string,
    out: number,
    a: number,
    b: number,
    shift: number,
    combine: (a: Interval, b: Interval) => Interval,
  ): void {
    const [first, second] = [this.at(a), this.at(b)];
    const limbs = this.#run(name, { a: first.limbs, b: second.limbs }, shift);
    this.memory.set(out, { limbs, value: combine(first.value, second.value) });
  }

  #run(name: string, limbs: Record<string, readonly Interval[]>, shift: number): Interval[] {
    const code = CODE.get(`${name}${this.limbCount}`);
    if (!code) throw new Error(`no ${name}${this.limbCount}`);
    return runOverIntervals(code, { limbs, shift: BigInt(shift) });
  }
}

function floorDivide(a: bigint, b: bigint): bigint {
  return a >= 0n ? a / b : -((-a + b - 1n) / b);
}
