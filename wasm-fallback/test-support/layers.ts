import { compile } from '../compile.mjs';
import type { EcExports } from '../ec-exports.js';
import { type CurveNumbers, toBytes } from './curves.js';

/** What assembly/test-entry.ts exports. Operands are addresses of vectors. */
export interface LayerExports extends EcExports {
  select(p384: number): void;
  scratchAddress(): number;
  resultAddress(): number;
  resultIsInfinity(): number;
  modulusP(): number;
  orderN(): number;
  basePoint(): number;
  mul(out: number, a: number, b: number): void;
  sqr(out: number, a: number): void;
  mulSub(out: number, a: number, b: number, c: number, shift: bigint): void;
  sqrSub(out: number, a: number, c: number, shift: bigint): void;
  addShl(out: number, a: number, b: number, shift: number): void;
  shlSub(out: number, a: number, shift: number, b: number): void;
  addSigned(out: number, a: number, b: number, sign: number): void;
  isZero(a: number): number;
  inverse(out: number, a: number): void;
  coordinateFromBytes(out: number, source: number): number;
  limbsFromBytes(out: number, source: number): void;
  invert(out: number, x: number, m: number): void;
  inverseModLimb(a: number): number;
  steps(delta: number, f: number, g: number): number;
  matrixEntry(index: number): number;
  scalarMul(out: number, a: number, b: number): void;
  divideBy(s: number, h: number, u1: number, r: number, u2: number): void;
  isScalar(a: number): number;
  wnaf(digits: number, a: number, bits: number, width: number): void;
  double(out: number, a: number): void;
  addAffine(a: number, x: number, y: number): number;
  isOnCurve(x: number, y: number, b: number): number;
  buildTable(table: number, point: number, pointsPerSegment: number): void;
  multiScalar(u1: number, u2: number, table: number): void;
  tableOfKey(source: number): number;
}

export const VECTOR = 56;

let compiled: Promise<WebAssembly.Module> | undefined;

/** The test build of one curve: reads and writes vectors as BigInt. */
export class Layers {
  readonly ec: LayerExports;
  readonly #words: Int32Array;
  readonly bytes: Uint8Array;
  readonly R: bigint;
  readonly #scratch: number;

  static async build(curve: CurveNumbers): Promise<Layers> {
    compiled ??= compile('test-entry.ts').then((bytes) => WebAssembly.compile(bytes));
    const instance = await WebAssembly.instantiate(await compiled);
    return new Layers(curve, instance.exports as unknown as LayerExports);
  }

  private constructor(
    readonly curve: CurveNumbers,
    ec: LayerExports,
  ) {
    this.ec = ec;
    this.#words = new Int32Array(ec.memory.buffer);
    this.bytes = new Uint8Array(ec.memory.buffer);
    this.R = 2n ** BigInt(28 * curve.limbs);
    this.#scratch = ec.scratchAddress();
    ec.select(curve.p384);
  }

  /** The address of vector number `index`. */
  at(index: number): number {
    return this.#scratch + index * VECTOR;
  }

  setLimbs(address: number, limbs: readonly number[]): bigint {
    this.#words.set(limbs, address / 4);
    return this.get(address);
  }

  /** Limbs in [0, 2^28), the top one signed. */
  set(address: number, value: bigint): void {
    const { limbs } = this.curve;
    for (let i = 0, rest = value; i < limbs; i++, rest >>= 28n)
      this.#words[address / 4 + i] = Number(i < limbs - 1 ? rest & 0xfffffffn : rest);
  }

  get(address: number): bigint {
    let value = 0n;
    for (let i = this.curve.limbs - 1; i >= 0; i--)
      value = (value << 28n) + BigInt(this.#words[address / 4 + i] as number);
    return value;
  }

  isNormal(address: number): boolean {
    const limbs = this.#words.subarray(address / 4, address / 4 + this.curve.limbs - 1);
    return limbs.every((limb) => limb >= 0 && limb < 2 ** 28);
  }

  setBytes(address: number, value: bigint): void {
    this.bytes.set(toBytes(value, this.curve.bytes), address);
  }
}
