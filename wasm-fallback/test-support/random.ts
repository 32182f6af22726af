/** Reproducible numbers (xorshift, Marsaglia 2003): a failing case can be run again. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** An integer in [0, below). */
  integer(below: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % below;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.integer(values.length)] as T;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.integer(256));
  }

  /** In [0, below); one in four is special: near 0, near `below`, or with long runs of bits. */
  big(below: bigint): bigint {
    const bits = below.toString(2).length;
    let value = 0n;
    for (let i = 0; i < bits + 32; i += 16) value = (value << 16n) | BigInt(this.integer(65536));
    const small = BigInt(this.integer(40));
    switch (this.integer(16)) {
      case 0:
        return small % below;
      case 1:
        return below - 1n - (small % below);
      case 2:
        return (1n << BigInt(this.integer(bits))) % below;
      case 3:
        return ((1n << BigInt(this.integer(bits))) - 1n) % below;
      default:
        return value % below;
    }
  }
}
