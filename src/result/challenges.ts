import { type _HMAC, hmac } from '@noble/hashes/hmac.js';
import { type _SHA256, sha256 } from '@noble/hashes/sha2.js';
import { asciiBytes, type Bytes, concatBytes, copyBytes } from '../bytes/bytes.js';
import { decodeHex, encodeHex } from '../bytes/hex.js';
import { AttestationError, reject } from './attestation-error.js';
import { type ChallengeStore, createMemoryChallengeStore } from './challenge-store.js';
import { RESULT_CODES, type ResultCode } from './result-codes.js';

/** A challenge for an attester. */
export interface Challenge {
  /** 48 bytes: the nonce that the evidence must carry. Fits a TPM quote. */
  readonly nonce: Bytes;
  /** Until when it can be answered, milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/** How challenges are made. */
export interface ChallengesOptions {
  /** Secret of at least 32 bytes, the same on every machine. */
  readonly key: Uint8Array;
  /** Keys of before, whose challenges are still accepted: for changing the key without a gap. */
  readonly previousKeys?: readonly Uint8Array[];
  /** How long a challenge can be answered; default 120, at most an hour. */
  readonly lifetimeSeconds?: number;
  /** How far the clocks of the machines may be apart; default 5, at most 60. */
  readonly clockToleranceSeconds?: number;
  /** Where used challenges are remembered; default the memory of this process. */
  readonly store?: ChallengeStore;
  /** The clock, milliseconds since the epoch; default `Date.now`. */
  readonly clock?: () => number;
}

/** Issues challenges and accepts each of them once. */
export interface Challenges {
  /** A new challenge for this audience. Nothing is stored. */
  issue(audience: string): Challenge;
  /**
   * Whether the nonce is a challenge of ours for this audience that can still be answered; says
   * nothing about replay. Throws `challenge.malformed`, `challenge.forged`,
   * `challenge.wrong-audience`, `challenge.expired`, `challenge.clock-skew`.
   */
  check(nonce: Uint8Array | string, audience: string): void;
  /**
   * Checks the challenge and uses it up: resolves for one call over all machines. Throws what
   * `check` throws, `challenge.replayed`, `challenge.store-restarted`, `challenge.store-full` and
   * `challenge.store-unavailable`; when in doubt nothing is accepted.
   */
  consume(nonce: Uint8Array | string, audience: string): Promise<void>;
  readonly store: ChallengeStore;
}

/** version 1 | time 6 | random 13 | audience tag 8 | MAC 20: docs/challenges.md. */
const VERSION = 1;
const TIME_AT = 1;
const RANDOM_AT = 7;
const AUDIENCE_AT = 20;
const MAC_AT = 28;
const NONCE_BYTES = 48;
const MIN_KEY_BYTES = 32;
const MAX_AUDIENCE_CHARACTERS = 1024;
const MAX_PREVIOUS_KEYS = 4;
const KNOWN: readonly string[] = [
  ...['key', 'previousKeys', 'lifetimeSeconds', 'clockToleranceSeconds', 'store', 'clock'],
];

/** Different uses of one key have different labels. */
const AUDIENCE_LABEL = asciiBytes('tee-verify challenge audience v1\0');
const MAC_LABEL = asciiBytes('tee-verify challenge v1\0');

/**
 * Challenges that are stateless to issue (an HMAC-SHA256 over time, randomness and audience) and
 * good for one use: only used ones are remembered, in the store, as long as they could come again.
 * TypeError for options that cannot be used.
 */
export function createChallenges(options: ChallengesOptions): Challenges {
  // A lost store would be the memory of each machine, and every one of them would say yes once.
  for (const [name, value] of Object.entries(options)) {
    if (!KNOWN.includes(name)) throw new TypeError(`unknown option ${name}`);
    if (value === undefined) throw new TypeError(`${name} is undefined: leave it out`);
  }
  const { lifetimeSeconds = 120, clockToleranceSeconds = 5, previousKeys = [] } = options;
  const { clock = Date.now } = options;
  const keys = [options.key, ...previousKeys].map(readKey);
  if (previousKeys.length > MAX_PREVIOUS_KEYS)
    throw new TypeError(`previousKeys must be at most ${MAX_PREVIOUS_KEYS}`);
  if (!(lifetimeSeconds >= 1 && lifetimeSeconds <= 3600))
    throw new TypeError('lifetimeSeconds must be a number of 1 to 3600');
  if (!(clockToleranceSeconds >= 0 && clockToleranceSeconds <= 60))
    throw new TypeError('clockToleranceSeconds must be a number of 0 to 60');
  const store = options.store ?? createMemoryChallengeStore();
  const lifetimeMs = lifetimeSeconds * 1000;
  const toleranceMs = clockToleranceSeconds * 1000;
  // Whatever the clocks say within the tolerance: forgotten only when no machine accepts it any more.
  const keepMs = lifetimeMs + 4 * toleranceMs + 1000;
  const [key] = keys as [KeyedMac, ...KeyedMac[]];

  function checked(given: Uint8Array | string, audience: string): Body {
    const nonce = readNonce(given);
    const audienceBytes = readAudience(audience);
    const body = nonce.subarray(0, MAC_AT);
    const signedBy = keys.find((candidate) =>
      equalInConstantTime(macOf(candidate, body), nonce.subarray(MAC_AT)),
    );
    if (signedBy === undefined)
      refuse('challenge.forged', 'a challenge issued with this key', encodeHex(nonce));
    const random = nonce.subarray(RANDOM_AT, AUDIENCE_AT);
    const tag = audienceTag(signedBy as KeyedMac, random, audienceBytes);
    if (!equalInConstantTime(tag, nonce.subarray(AUDIENCE_AT, MAC_AT)))
      refuse('challenge.wrong-audience', `issued for ${audience}`, 'another audience');
    const issuedAtMs = readTime(nonce);
    const nowMs = clock();
    const ageMs = nowMs - issuedAtMs;
    // Written so that a clock that gives no number accepts nothing.
    if (!(ageMs <= lifetimeMs + toleranceMs))
      refuse(
        'challenge.expired',
        `at most ${lifetimeSeconds} s old`,
        `${Math.round(ageMs / 1000)} s`,
      );
    if (ageMs < -toleranceMs)
      refuse(
        'challenge.clock-skew',
        `at most ${clockToleranceSeconds} s ahead`,
        `${Math.round(-ageMs / 1000)} s`,
      );
    return { id: encodeHex(body), issuedAtMs };
  }

  return {
    store,
    issue(audience) {
      const audienceBytes = readAudience(audience);
      const nowMs = clock();
      const nonce = new Uint8Array(NONCE_BYTES);
      nonce[0] = VERSION;
      writeTime(nonce, nowMs);
      const random = globalThis.crypto.getRandomValues(nonce.subarray(RANDOM_AT, AUDIENCE_AT));
      nonce.set(audienceTag(key, random, audienceBytes), AUDIENCE_AT);
      nonce.set(macOf(key, nonce.subarray(0, MAC_AT)), MAC_AT);
      return { nonce, expiresAtMs: Math.floor(nowMs) + lifetimeMs };
    },
    check(nonce, audience) {
      checked(nonce, audience);
    },
    async consume(nonce, audience) {
      const { id, issuedAtMs } = checked(nonce, audience);
      let state: 'fresh' | 'used' | 'unknown';
      try {
        state = await store.consume({ id, issuedAtMs, keepMs });
      } catch (cause) {
        if (cause instanceof AttestationError && cause.step === 'challenge') throw cause;
        throw new AttestationError(RESULT_CODES['challenge.store-unavailable'], {
          expected: 'an answer of the store',
          actual: 'none',
          cause,
        });
      }
      if (state === 'fresh') return;
      if (state === 'used') refuse('challenge.replayed', 'a challenge that was not used', id);
      refuse('challenge.store-restarted', 'a store as old as the challenge', String(state));
    },
  };
}

interface Body {
  readonly id: string;
  readonly issuedAtMs: number;
}

/** HMAC-SHA256 that has taken its key: each message goes through a copy. */
type KeyedMac = _HMAC<_SHA256>;

function macOf(key: KeyedMac, body: Uint8Array): Uint8Array {
  return shortMac(key, NONCE_BYTES - MAC_AT, MAC_LABEL, body);
}

function audienceTag(key: KeyedMac, random: Uint8Array, audience: Uint8Array): Uint8Array {
  return shortMac(key, MAC_AT - AUDIENCE_AT, AUDIENCE_LABEL, random, audience);
}

function shortMac(key: KeyedMac, length: number, ...message: Uint8Array[]): Uint8Array {
  const mac = key.clone().update(concatBytes(...message));
  return mac.digest().subarray(0, length);
}

/** How long it takes tells nothing about where they differ. */
function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] ?? 0);
  return difference === 0;
}

function readKey(key: Uint8Array): KeyedMac {
  if (!(key instanceof Uint8Array) || key.length < MIN_KEY_BYTES)
    throw new TypeError(`a key must be at least ${MIN_KEY_BYTES} random bytes`);
  return hmac.create(sha256, copyBytes(key));
}

function readAudience(audience: string): Uint8Array {
  if (typeof audience !== 'string' || audience === '' || audience.length > MAX_AUDIENCE_CHARACTERS)
    throw new TypeError(`audience must be text of 1 to ${MAX_AUDIENCE_CHARACTERS} characters`);
  return new TextEncoder().encode(audience);
}

function readNonce(given: Uint8Array | string): Bytes {
  const bytes =
    typeof given === 'string'
      ? given.length === 2 * NONCE_BYTES
        ? decodeHex(given)
        : undefined
      : given instanceof Uint8Array && given.length === NONCE_BYTES
        ? copyBytes(given)
        : undefined;
  if (bytes === undefined || bytes[0] !== VERSION)
    return refuse(
      'challenge.malformed',
      `${NONCE_BYTES} bytes or their hex, starting ${VERSION}`,
      typeof given === 'string' ? `text of ${given.length} characters` : 'other bytes',
    );
  return bytes;
}

/** Milliseconds since the epoch, 48 bits, big-endian. */
function writeTime(nonce: Uint8Array, milliseconds: number): void {
  let rest = Math.floor(milliseconds);
  for (let at = RANDOM_AT - 1; at >= TIME_AT; at--) {
    nonce[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function readTime(nonce: Uint8Array): number {
  return nonce.subarray(TIME_AT, RANDOM_AT).reduce((time, byte) => time * 256 + byte, 0);
}

function refuse(code: ResultCode, expected: string, actual: string): never {
  reject(RESULT_CODES[code], expected, actual);
}
