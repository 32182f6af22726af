import { decodeBase64 } from '../src/bytes/base64.js';
import type { CryptoProvider } from '../src/crypto/provider.js';
import type { EcExports } from './ec-exports.js';
import { EC_WASM_BASE64 } from './ec-wasm.js';
import { wasmProvider } from './wasm-provider.js';

/**
 * The WebAssembly provider, or why there is none: an engine without WebAssembly, or a content
 * security policy without 'wasm-unsafe-eval'. The reason is one line, for the report.
 */
export type WasmLoad = { readonly provider: CryptoProvider } | { readonly unavailable: string };

/** SHA-1 of some bytes: only old event logs need it, so the module has none. */
export type Sha1 = (data: Uint8Array) => Uint8Array;

/** One instance a thread: every thread has its own copy of this variable. */
let loaded: WasmLoad | undefined;

/** Compiles at the first call and returns the thread's provider; never throws. */
export function loadWasmWith(sha1: Sha1): WasmLoad {
  if (loaded) return loaded;
  try {
    const { Module, Instance } = webAssembly();
    loaded = { provider: providerOf(new Instance(new Module(moduleBytes())), sha1) };
  } catch (error) {
    return refused(error);
  }
  return loaded;
}

/** As {@link loadWasmWith}, compiling off the main thread where the engine does that. */
export async function loadWasmAsyncWith(sha1: Sha1): Promise<WasmLoad> {
  if (loaded) return loaded;
  try {
    const { instance } = await webAssembly().instantiate(moduleBytes());
    // Another call may have been quicker: all share one instance and its keys.
    loaded ??= { provider: providerOf(instance, sha1) };
  } catch (error) {
    return loaded ?? refused(error);
  }
  return loaded;
}

function webAssembly(): typeof WebAssembly {
  if (typeof WebAssembly !== 'object') throw new Error('this engine has none');
  return WebAssembly;
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
  return decodeBase64(EC_WASM_BASE64) as Uint8Array<ArrayBuffer>;
}

function providerOf(instance: WebAssembly.Instance, sha1: Sha1): CryptoProvider {
  return wasmProvider(instance.exports as unknown as EcExports, sha1);
}

function refused(error: unknown): WasmLoad {
  const reason = error instanceof Error ? error.message : String(error);
  return { unavailable: `WebAssembly: ${reason.replace(/\s+/g, ' ')}` };
}
