import type { WasmLoad } from '../../wasm-fallback/load-wasm.js';

/**
 * Takes the place of the WebAssembly provider in the page, whose policy forbids compiling one:
 * asking the browser would only be a violation of the policy.
 */
export async function loadWasmAsync(): Promise<WasmLoad> {
  return {
    unavailable: 'no WebCrypto on an insecure origin; WebAssembly: forbidden by the policy',
  };
}
