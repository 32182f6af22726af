import type { CryptoProvider } from './provider.js';
import { createWebCryptoProvider, findSubtleCrypto } from './webcrypto-provider.js';

/**
 * The provider for this runtime: WebCrypto where there is one, else plain JavaScript (loaded only
 * then). The report names the one that was used.
 */
export function chooseProvider(): CryptoProvider {
  const subtle = findSubtleCrypto();
  return subtle === undefined ? createNobleProviderLazy() : createWebCryptoProvider(subtle);
}

/** noble, loaded at the first call. */
export function createNobleProviderLazy(): CryptoProvider {
  const load = async (): Promise<CryptoProvider> =>
    (await import('./noble-provider.js')).createNobleProvider();
  return {
    name: 'noble',
    digest: async (algorithm, data) => (await load()).digest(algorithm, data),
    verify: async (algorithm, publicKey, message, signature) =>
      (await load()).verify(algorithm, publicKey, message, signature),
  };
}
