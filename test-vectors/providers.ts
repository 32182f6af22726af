import { type CryptoProvider, createNobleProvider, createWebCryptoProvider } from 'tee-verify';
import { createNodeProvider } from 'tee-verify/node';
import { loadWasm } from 'tee-verify/wasm-fallback';

/** The WebAssembly provider: the fastest one. */
export function wasmProvider(): CryptoProvider {
  const wasm = loadWasm();
  if ('unavailable' in wasm) throw new Error(wasm.unavailable);
  return wasm.provider;
}

/** Every provider that exists: the same cases run over all of them. */
export const PROVIDERS: readonly CryptoProvider[] = [
  createNodeProvider(),
  createWebCryptoProvider(crypto.subtle),
  wasmProvider(),
  createNobleProvider(),
];
