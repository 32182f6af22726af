import { type Bytes, concatBytes } from '../src/bytes/bytes.js';
import { encodeHex } from '../src/bytes/hex.js';
import { runFlow } from '../src/crypto/flow.js';
import { claimsOf, demandManifest, judge } from '../src/judge.js';
import type { ManifestInput } from '../src/manifest/parse-manifest.js';
import { resolveOptions, type VerifyOptions } from '../src/options.js';
import type { VerifiedClaims } from '../src/proven-claims.js';
import { AttestationError } from '../src/result/attestation-error.js';
import { CLIENT_CODES } from '../src/result/client-codes.js';

/** How to ask an attestation endpoint; everything else is as for `verifyAttestation`. */
export interface FetchOptions extends Omit<VerifyOptions, 'nonce' | 'now'> {
  /** The time to judge at; default the clock. */
  readonly now?: Date;
  /** For asking and verifying together; default 10. */
  readonly timeLimitSeconds?: number;
  /** Ends the call: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Sent besides `content-type: application/json`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether cookies are sent; default `same-origin`. */
  readonly credentials?: RequestCredentials;
  /** Instead of the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
}

/** As for a bundle (docs/bundle.md). */
const MAX_ANSWER_BYTES = 1_048_576;

/**
 * Asks an attestation endpoint and verifies its answer: makes a nonce of 32 random bytes, POSTs
 * `{"nonce": "<hex>"}`, and takes the body of the answer as evidence in any accepted form (at most
 * 1 MiB). Resolves with the proven claims of evidence that answers exactly this nonce; nothing else
 * of the answer gets out. Redirects are refused.
 *
 * Throws what `verifyAttestation` throws, `fetch.failed`, `fetch.status`, `fetch.timeout`, and the
 * reason of `signal` when that ended it.
 */
export async function fetchAndVerify(
  url: string | URL,
  manifest: ManifestInput,
  options: FetchOptions = {},
): Promise<VerifiedClaims> {
  const {
    timeLimitSeconds = 10,
    signal,
    headers,
    credentials = 'same-origin',
    fetch = globalThis.fetch,
    ...rest
  } = options;
  // setTimeout counts up to 24 days.
  if (!(timeLimitSeconds > 0 && timeLimitSeconds < 1e6))
    throw new TypeError('timeLimitSeconds must be above 0');
  // A live answer is judged by a fresh nonce and a clock.
  if ('nonce' in rest || (rest.now as unknown) === 'document')
    throw new TypeError('neither nonce nor document time can be set');
  const nonce = crypto.getRandomValues(new Uint8Array(32));
  const resolved = resolveOptions({ ...rest, nonce });
  const expected = structuredClone(demandManifest(manifest));
  signal?.throwIfAborted();

  // Ends a request that is still under way, too.
  const limit = new AbortController();
  const ended = AbortSignal.any(signal === undefined ? [limit.signal] : [limit.signal, signal]);
  const request: RequestInit = {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ nonce: encodeHex(nonce) }),
    cache: 'no-store',
    redirect: 'error',
    credentials,
    signal: ended,
  };
  const work = async (): Promise<VerifiedClaims> => {
    const evidence = await ask(fetch, url, request);
    return claimsOf(await runFlow(judge(evidence, expected, resolved)));
  };
  const aborted = new Promise<never>((_resolve, refuse) => {
    ended.onabort = () => refuse(ended.reason);
  });
  const timer = setTimeout(() => {
    const actual = `${timeLimitSeconds} s`;
    limit.abort(new AttestationError(CLIENT_CODES['fetch.timeout'], { actual }));
  }, timeLimitSeconds * 1000);
  try {
    return await Promise.race([aborted, work()]);
  } finally {
    clearTimeout(timer);
    limit.abort();
  }
}

/** The body of the answer, read no further than evidence may be long. */
async function ask(
  fetch: typeof globalThis.fetch,
  url: string | URL,
  request: RequestInit,
): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  try {
    const response = await fetch(url, request);
    if (!response.ok)
      throw new AttestationError(CLIENT_CODES['fetch.status'], { actual: `${response.status}` });
    const reader = response.body?.getReader();
    for (let length = 0; reader !== undefined; ) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
      if (length > MAX_ANSWER_BYTES)
        throw new AttestationError('evidence.too-large', {
          expected: `at most ${MAX_ANSWER_BYTES} bytes`,
        });
      parts.push(value);
    }
  } catch (cause) {
    if (cause instanceof AttestationError) throw cause;
    throw new AttestationError(CLIENT_CODES['fetch.failed'], { cause });
  }
  return concatBytes(...parts);
}
