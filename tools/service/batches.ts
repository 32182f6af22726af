/**
 * Lets requests that are there together go on together, step by step: then the code of each step is
 * fetched into the processor's caches once for all of them. A verification costs a fifth less so
 * (docs/scaling.md). Nobody waits for others to come.
 */
export class Batches {
  readonly #size: number;
  #waiting: (() => void)[] = [];

  /** So many at a time: then what came in meanwhile is read, and answers go out. */
  constructor(size: number) {
    this.#size = size;
  }

  /** Resolves when everything that has arrived by now was read, `size` at a time. */
  join(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) setImmediate(() => this.#next());
    });
  }

  /** All in one go: promises that are resolved by turns would run to their ends by turns. */
  #next(): void {
    const now = this.#waiting.splice(0, this.#size);
    if (this.#waiting.length > 0) setImmediate(() => this.#next());
    for (const resolve of now) resolve();
  }
}
