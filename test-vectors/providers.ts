import { type CryptoProvider, createNobleProvider, createWebCryptoProvider } from 'tee-verify';
import { createNodeProvider } from 'tee-verify/node';

/** Every provider that exists: the same cases run over all of them. */
export const PROVIDERS: readonly CryptoProvider[] = [
  createNodeProvider(),
  createWebCryptoProvider(crypto.subtle),
  createNobleProvider(),
];
