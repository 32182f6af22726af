import { createHash } from 'node:crypto';
import { type CryptoProvider, createNobleProvider, createWebCryptoProvider } from '../src/index.js';
import { AttestationError } from '../src/result/attestation-error.js';
import { loadWasmWith } from '../wasm-fallback/wasm-loader.js';
import { createNodeProvider } from './node-provider.js';

/** The providers that Node has by name: see docs/providers.md. */
export const PROVIDER_NAMES = ['node:crypto', 'wasm', 'webcrypto', 'noble'] as const;

/** A provider by its name. */
export type ProviderName = (typeof PROVIDER_NAMES)[number];

/**
 * The provider of that name. `wasm` is the fastest by far, but runs on the calling thread: use it
 * in workers (`createVerifierPool`) or where verification is all the thread does. Throws
 * `crypto.unavailable` when the engine has no WebAssembly.
 */
export function namedProvider(name: ProviderName): CryptoProvider {
  const provider = providers.get(name) ?? createProvider(name);
  providers.set(name, provider);
  return provider;
}

/** One of each: its imported keys and the chains remembered over it serve every call. */
const providers = new Map<ProviderName, CryptoProvider>();

function createProvider(name: ProviderName): CryptoProvider {
  switch (name) {
    case 'node:crypto':
      return createNodeProvider();
    case 'webcrypto':
      return createWebCryptoProvider(globalThis.crypto.subtle);
    case 'noble':
      return createNobleProvider();
    case 'wasm': {
      // Node's own SHA-1: loading another would take longer than all the rest of this provider.
      const loaded = loadWasmWith(
        (data) => new Uint8Array(createHash('sha1').update(data).digest()),
      );
      if ('provider' in loaded) return loaded.provider;
      throw new AttestationError('crypto.unavailable', { actual: loaded.unavailable });
    }
    default:
      throw new TypeError(
        `provider must be one of ${PROVIDER_NAMES.join(', ')}, or a CryptoProvider`,
      );
  }
}
