import { expect } from 'vitest';
import { AttestationError } from '../result/attestation-error.js';
import { type Code, isCode } from '../result/codes.js';

/** What a call throws; fails when it throws nothing. */
export function thrownBy(call: () => unknown): unknown {
  let value: unknown;
  try {
    value = call();
  } catch (error) {
    return error;
  }
  throw new Error(`nothing was thrown, but ${String(value)} returned`);
}

/** Demands our error with this code, and that it says what was expected and what was there. */
export function expectRejection(error: unknown, code: Code): AttestationError {
  expect(error).toBeInstanceOf(AttestationError);
  const rejection = error as AttestationError;
  expect(rejection.code, rejection.message).toBe(code);
  expect(rejection.step).toBe(code.split('.')[0]);
  expect(rejection.expected, `${code} expected`).toMatch(/\S/);
  expect(rejection.actual, `${code} actual`).toMatch(/\S/);
  expect(rejection.hint).toMatch(/\S/);
  expect(rejection.message).toContain(rejection.expected as string);
  return rejection;
}

/** Demands that a call throws our error with this code. */
export function expectCode(call: () => unknown, code: Code): AttestationError {
  return expectRejection(thrownBy(call), code);
}

/** What an async call rejects with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`resolved with ${String(value)}`);
    },
    (error: unknown) => error,
  );
}

/** The value, or the code; whatever else is thrown gets out, and fails the test. */
export function valueOrCode<T>(call: () => T): T | Code {
  try {
    return call();
  } catch (error) {
    if (error instanceof AttestationError && isCode(error.code)) return error.code;
    throw error;
  }
}

/** A note taker that keeps what it hears. */
export function notes(): { readonly heard: string[]; readonly note: (text: string) => void } {
  const heard: string[] = [];
  return { heard, note: (text) => heard.push(text) };
}

/** Every proper prefix of some bytes. */
export function* prefixes(bytes: Uint8Array): Generator<Uint8Array> {
  for (let length = 0; length < bytes.length; length++) yield bytes.subarray(0, length);
}
