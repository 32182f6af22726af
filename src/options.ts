import { asBytes, copyBytes } from './bytes/bytes.js';
import { decodeHex } from './bytes/hex.js';
import { isPlainObject } from './bytes/plain-object.js';
import { chooseProvider } from './crypto/choose-provider.js';
import type { CryptoProvider } from './crypto/provider.js';
import type { FreshnessRules } from './freshness.js';
import type { ManifestKeys } from './manifest/signed-manifest.js';
import type { VerificationTime } from './result/verification-time.js';
import { ChainMemory } from './x509/chain-memory.js';
import { resolveTrustAnchors, type TrustAnchor, type TrustAnchors } from './x509/trust-anchors.js';

/** What a caller may decide. Everything has a safe default. */
export interface VerifyOptions {
  /**
   * The challenge you sent: bytes, or hex text. `null` demands that the evidence carries none.
   * Left out, it is not compared, and the document must be at most `maxAgeSeconds` old. Passing
   * `undefined` explicitly is an error, so that a forgotten value can't turn the check off.
   */
  readonly nonce?: Uint8Array | string | null;
  /** The time to judge at: default the clock. `'document'` takes the document's own timestamp, for audits. */
  readonly now?: Date | 'document';
  /** How far clocks may be apart; default 60. */
  readonly clockToleranceSeconds?: number;
  /** How old the document may be; default 300 without a nonce, else not limited. */
  readonly maxAgeSeconds?: number;
  /** Roots that are trusted; default: AWS Nitro Enclaves Root G1, by its SHA-256. */
  readonly trustAnchors?: readonly TrustAnchor[];
  /** Cryptography; default: the best of this runtime. */
  readonly provider?: CryptoProvider;
  /** Remembers CA certificates between calls; default: one memory for the process. `false`: none. */
  readonly chainMemory?: ChainMemory | false;
  /** Accepts enclaves in debug mode; default false. Never for secrets. */
  readonly allowDebug?: boolean;
  /** Accepts manifests that do not pin what makes an image; default false. */
  readonly allowPartialManifest?: boolean;
  /** Refuses evidence without a TPM quote; default false. */
  readonly requireQuote?: boolean;
  /** Public keys that signed the manifest; then an unsigned manifest is refused. */
  readonly manifestKeys?: ManifestKeys;
}

/** Options with every default filled in. */
export interface ResolvedOptions {
  readonly freshness: FreshnessRules;
  readonly anchors: TrustAnchors;
  readonly provider: CryptoProvider;
  readonly memory: ChainMemory | undefined;
  /** Names the provider in the memory: what one provider found is not believed over another. */
  readonly memoryScope: string;
  readonly allowDebug: boolean;
  readonly allowPartialManifest: boolean;
  readonly requireQuote: boolean;
  readonly manifestKeys: ManifestKeys | undefined;
  /** The time to judge at, once the document's own time is known. */
  timeFor(documentMs: number): VerificationTime;
}

const DEFAULT_CLOCK_TOLERANCE_SECONDS = 60;
const DEFAULT_MAX_AGE_SECONDS = 300;
/** Leaf certificates live for three hours: more tolerance than one would make that meaningless. */
const MAX_CLOCK_TOLERANCE_SECONDS = 3600;
const MAX_NONCE_BYTES = 1024;

const KNOWN_OPTIONS: ReadonlySet<string> = new Set([
  'nonce',
  'now',
  'clockToleranceSeconds',
  'maxAgeSeconds',
  'trustAnchors',
  'provider',
  'chainMemory',
  'allowDebug',
  'allowPartialManifest',
  'requireQuote',
  'manifestKeys',
]);

let processProvider: CryptoProvider | undefined;

/** One for the process, so that its keys and the memory are of use from call to call. */
function defaultProvider(): CryptoProvider {
  processProvider ??= chooseProvider();
  return processProvider;
}

const identities = new WeakMap<CryptoProvider, number>();
let nextIdentity = 1;

/** A number for this very object; its name could be anybody's. */
function identityOf(provider: CryptoProvider): number {
  const identity = identities.get(provider) ?? nextIdentity++;
  identities.set(provider, identity);
  return identity;
}

/** Shared by all calls that bring no memory of their own: a cache, not a setting. */
const processMemory: ChainMemory = new ChainMemory();

/** Left out is fine; present but undefined is a value that got lost, and a check with it. */
const MUST_NOT_BE_UNDEFINED = ['nonce', 'maxAgeSeconds', 'requireQuote', 'manifestKeys'] as const;

/**
 * The caller's options, read once into an object of our own. Only plain objects with known, own,
 * enumerable properties: an option that some code sees and some does not (inherited, from a Map)
 * must not turn a check off. TypeError otherwise.
 */
export function ownOptions<Options extends object>(options: Options): Options {
  if (!isPlainObject(options)) throw new TypeError('options must be a plain object');
  for (const key of Reflect.ownKeys(options))
    if (
      typeof key !== 'string' ||
      !KNOWN_OPTIONS.has(key) ||
      !Object.prototype.propertyIsEnumerable.call(options, key)
    )
      throw new TypeError(`unknown option ${String(key)}`);
  const own = { ...options };
  for (const key of MUST_NOT_BE_UNDEFINED)
    if (Object.hasOwn(own, key) && (own as Record<string, unknown>)[key] === undefined)
      throw new TypeError(
        `${key} is undefined: leave it out${key === 'nonce' ? ', or pass null to demand that there is none' : ''}`,
      );
  return own;
}

/** Checks and completes the caller's options. Mistakes are the caller's: TypeError. */
export function resolveOptions(given: VerifyOptions): ResolvedOptions {
  const options = ownOptions(given);
  const nonce = resolveNonce(options);
  const clockToleranceSeconds = seconds(
    'clockToleranceSeconds',
    options.clockToleranceSeconds ?? DEFAULT_CLOCK_TOLERANCE_SECONDS,
    MAX_CLOCK_TOLERANCE_SECONDS,
  );
  const maxAgeSeconds = options.maxAgeSeconds ?? (nonce ? undefined : DEFAULT_MAX_AGE_SECONDS);
  const { now, provider, chainMemory } = options;
  // Read once; a Date of any realm.
  const isDate = Object.prototype.toString.call(now) === '[object Date]';
  const givenMs = isDate ? Date.prototype.getTime.call(now) : undefined;
  if (now !== undefined && now !== 'document' && !Number.isFinite(givenMs))
    throw new TypeError("now must be a valid Date or 'document'");
  if (provider !== undefined && typeof provider?.verify !== 'function')
    throw new TypeError('provider must be a CryptoProvider');
  if (chainMemory !== undefined && chainMemory !== false && !(chainMemory instanceof ChainMemory))
    throw new TypeError('chainMemory must be a ChainMemory or false');
  const chosen = provider ?? defaultProvider();
  return {
    freshness: {
      nonce,
      maxAgeSeconds:
        maxAgeSeconds === undefined
          ? undefined
          : seconds('maxAgeSeconds', maxAgeSeconds, Number.MAX_SAFE_INTEGER),
    },
    anchors: resolveTrustAnchors(options.trustAnchors),
    provider: chosen,
    memoryScope: `${identityOf(chosen)} `,
    memory: chainMemory === false ? undefined : (chainMemory ?? processMemory),
    allowDebug: flag(options, 'allowDebug'),
    allowPartialManifest: flag(options, 'allowPartialManifest'),
    requireQuote: flag(options, 'requireQuote'),
    manifestKeys: options.manifestKeys,
    timeFor: (documentMs) => ({
      nowMs: now === 'document' ? documentMs : (givenMs ?? Date.now()),
      source: now === 'document' ? 'document' : givenMs !== undefined ? 'given' : 'clock',
      clockToleranceSeconds,
      documentMs,
    }),
  };
}

function resolveNonce(options: VerifyOptions): Uint8Array | null | undefined {
  const { nonce } = options;
  if (nonce === undefined || nonce === null) return nonce;
  const view = asBytes(nonce);
  const bytes = typeof nonce === 'string' ? decodeHex(nonce) : view && copyBytes(view);
  if (bytes === undefined || bytes.length === 0 || bytes.length > MAX_NONCE_BYTES)
    throw new TypeError(`nonce must be 1 to ${MAX_NONCE_BYTES} bytes, as Uint8Array or hex text`);
  return bytes;
}

function flag(
  options: VerifyOptions,
  name: 'allowDebug' | 'allowPartialManifest' | 'requireQuote',
): boolean {
  const value = options[name] ?? false;
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false`);
  return value;
}

function seconds(name: string, value: number, max: number): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= max))
    throw new TypeError(`${name} must be a number of 0 to ${max}`);
  return value;
}
