import { sha1 } from '@noble/hashes/legacy.js';
import { loadWasmAsyncWith, loadWasmWith, type WasmLoad } from './wasm-loader.js';

export type { WasmLoad } from './wasm-loader.js';

/**
 * Compiles the inlined module at the first call (about a millisecond, nothing is fetched) and
 * returns the thread's provider, named `wasm`, with its synchronous form. Never throws: when the
 * engine refuses, the caller gets the reason and takes another provider, such as noble's.
 *
 * Some old web views compile no more than 4 KB on the main thread; there, {@link loadWasmAsync} may
 * still succeed.
 */
export function loadWasm(): WasmLoad {
  return loadWasmWith(sha1);
}

/** As {@link loadWasm}, compiling off the main thread where the engine does that. */
export function loadWasmAsync(): Promise<WasmLoad> {
  return loadWasmAsyncWith(sha1);
}
