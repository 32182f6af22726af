import { createHash } from 'node:crypto';

interface Thread {
  /** What it gave and the hash did not take yet. */
  readonly parts: { readonly index: number; readonly digest: Uint8Array }[];
  ended: boolean;
}

/**
 * SHA-256 over the digests of blocks in the order of their indices (LINEAR aggregation), from several
 * threads of which each gives its own in order.
 */
export class LinearChecksum {
  readonly #hash = createHash('sha256');
  readonly #threads: readonly Thread[];

  constructor(threads: number) {
    this.#threads = Array.from({ length: threads }, () => ({ parts: [], ended: false }));
  }

  add(thread: number, index: number, digest: Uint8Array): void {
    this.#threads[thread]?.parts.push({ index, digest });
    this.#takeParts();
  }

  end(thread: number): void {
    Object.assign(this.#threads[thread] ?? {}, { ended: true });
    this.#takeParts();
  }

  /** Base64; only after every thread has ended. */
  digest(): string {
    if (!this.#threads.every(isOver)) throw new TypeError('not all blocks were read');
    return this.#hash.digest('base64');
  }

  /** Takes the first of all, as long as no thread can still give one before it. */
  #takeParts(): void {
    for (;;) {
      const going = this.#threads.filter((thread) => !isOver(thread));
      if (going.length === 0 || going.some(({ parts }) => parts.length === 0)) return;
      const firstOf = ({ parts }: Thread): number => parts[0]?.index ?? 0;
      const first = going.reduce((one, other) => (firstOf(other) < firstOf(one) ? other : one));
      this.#hash.update(first.parts.shift()?.digest ?? '');
    }
  }
}

function isOver({ parts, ended }: Thread): boolean {
  return ended && parts.length === 0;
}
