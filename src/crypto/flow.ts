/** A value now or a promise of it. */
export type MaybePromise<T> = T | PromiseLike<T>;

/**
 * A computation that pauses wherever cryptography may take time. The same code runs awaited
 * (`runFlow`) or straight through over a synchronous provider (`runFlowSync`): one engine, so the
 * two can't come to different verdicts.
 */
export type Flow<T> = Generator<PromiseLike<unknown>, T, unknown>;

/** Pauses until the value is there: `const x = yield* wait(maybePromise)`. */
export function* wait<T>(value: MaybePromise<T>): Flow<T> {
  return (isPromiseLike(value) ? yield value : value) as T;
}

/** Runs a flow to its end, awaiting where it pauses. */
export async function runFlow<T>(flow: Flow<T>): Promise<T> {
  let step = flow.next();
  while (!step.done) {
    let value: unknown;
    try {
      value = await step.value;
    } catch (error) {
      step = flow.throw(error);
      continue;
    }
    step = flow.next(value);
  }
  return step.value;
}

/** Runs a flow that never pauses; a pause is a programming error (an asynchronous provider). */
export function runFlowSync<T>(flow: Flow<T>): T {
  const step = flow.next();
  if (!step.done) {
    step.value.then(undefined, () => undefined);
    throw new TypeError(
      'this verification has to wait (an asynchronous provider, or a signed manifest): use verifyAttestation',
    );
  }
  return step.value;
}

/** Whether a value must be awaited. */
export function isPromiseLike<T>(value: MaybePromise<T>): value is PromiseLike<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
