import type { Bytes } from '../bytes/bytes.js';
import { AttestationError } from '../result/attestation-error.js';
import { isPromiseLike, type MaybePromise } from './flow.js';
import type { CryptoProvider, HashAlgorithm, SignatureAlgorithm, SyncCrypto } from './provider.js';

/**
 * A provider as the steps see it: every failure of it is `crypto.failed`, and whatever is not
 * exactly `true` is not a valid signature.
 */
export interface Engine {
  readonly name: string;
  /** Whether every answer comes at once. */
  readonly isSynchronous: boolean;
  digest(algorithm: HashAlgorithm, data: Uint8Array): MaybePromise<Uint8Array>;
  verify(
    algorithm: SignatureAlgorithm,
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ): MaybePromise<boolean>;
}

const DIGEST_BYTES: Readonly<Record<HashAlgorithm, number>> = {
  'SHA-1': 20,
  'SHA-256': 32,
  'SHA-384': 48,
  'SHA-512': 64,
};

/** Wraps a provider, or its synchronous form. */
export function createEngine(
  name: string,
  crypto: CryptoProvider | SyncCrypto,
  isSynchronous = false,
): Engine {
  return {
    name,
    isSynchronous,
    digest: (algorithm, data) =>
      guard(
        () => crypto.digest(algorithm, data),
        (digest) => {
          if (digest instanceof Uint8Array && digest.length === DIGEST_BYTES[algorithm])
            return digest as Bytes;
          throw failed(new TypeError(`${name} gave no ${algorithm} digest`));
        },
      ),
    verify: (algorithm, publicKey, message, signature) =>
      guard(
        () => crypto.verify(algorithm, publicKey, message, signature),
        (valid) => valid === true,
      ),
  };
}

function guard<T, U>(call: () => MaybePromise<T>, check: (value: T) => U): MaybePromise<U> {
  let value: MaybePromise<T>;
  let isPending: boolean;
  try {
    value = call();
    isPending = isPromiseLike(value);
  } catch (cause) {
    throw failed(cause);
  }
  if (!isPending) return check(value as T);
  // A promise of our own: what a foreign `then` returns is nobody's verdict.
  const checked = Promise.resolve(value).then(check, (cause: unknown) => {
    throw failed(cause);
  });
  // Checks are started together and judged in order: one that nobody gets to must not be "unhandled".
  checked.catch(() => undefined);
  return checked;
}

function failed(cause: unknown): AttestationError {
  return cause instanceof AttestationError
    ? cause
    : new AttestationError('crypto.failed', { cause });
}
