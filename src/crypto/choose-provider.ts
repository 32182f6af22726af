import type { CryptoProvider } from './provider.js';
import { createWebCryptoProvider, findSubtleCrypto } from './webcrypto-provider.js';

/**
 * The provider for this runtime: WebCrypto where there is one, else WebAssembly, else plain
 * JavaScript; the latter two are loaded only then. The report names the one that was used.
 */
export function chooseProvider(): CryptoProvider {
  const subtle = findSubtleCrypto();
  return subtle === undefined ? createFallbackProvider() : createWebCryptoProvider(subtle);
}

/** WebAssembly where the engine and the page's policy allow it, else noble, with the reason. */
export function createFallbackProvider(): CryptoProvider {
  return createLazyProvider('wasm', async () => {
    const { loadWasmAsync } = await import('../../wasm-fallback/load-wasm.js');
    const loaded = await loadWasmAsync();
    if ('provider' in loaded) return loaded.provider;
    const { createNobleProvider } = await import('./noble-provider.js');
    return { ...createNobleProvider(), name: `noble (${loaded.unavailable})` };
  });
}

/** Plain JavaScript (@noble), loaded at the first call: works everywhere, slower by a factor of ten. */
export function createNobleProvider(): CryptoProvider {
  return createLazyProvider('noble', async () =>
    (await import('./noble-provider.js')).createNobleProvider(),
  );
}

/** A provider that is loaded at its first call and from then on has the name of what was loaded. */
function createLazyProvider(
  firstName: string,
  load: () => Promise<CryptoProvider>,
): CryptoProvider {
  let loading: Promise<CryptoProvider> | undefined;
  let name = firstName;
  const provider = async (): Promise<CryptoProvider> => {
    loading ??= load();
    const loaded = await loading;
    name = loaded.name;
    return loaded;
  };
  return {
    get name(): string {
      return name;
    },
    digest: async (algorithm, data) => (await provider()).digest(algorithm, data),
    verify: async (algorithm, publicKey, message, signature) =>
      (await provider()).verify(algorithm, publicKey, message, signature),
  };
}
