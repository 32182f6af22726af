import { readFileSync } from 'node:fs';
import type { CryptoProvider, SyncCrypto } from '../../src/crypto/provider.js';
import type { EcExports } from '../ec-exports.js';
import { loadWasm } from '../load-wasm.js';
import { type CurveNumbers, toBytes } from './curves.js';

/** The provider and its synchronous form; fails the test where there is none. */
export function wasm(): { provider: CryptoProvider; sync: SyncCrypto } {
  const load = loadWasm();
  if ('unavailable' in load || !load.provider.sync) throw new Error(JSON.stringify(load));
  return { provider: load.provider, sync: load.provider.sync };
}

/** The committed ec.wasm. */
export const ecWasm: Uint8Array<ArrayBuffer> = Uint8Array.from(
  readFileSync(new URL('../ec.wasm', import.meta.url)),
);

/** Verifies under the committed ec.wasm with a hash of the caller's choice. */
export class HashVerifier {
  readonly #ec: EcExports;

  constructor() {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(ecWasm));
    this.#ec = instance.exports as unknown as EcExports;
  }

  verify(
    curve: CurveNumbers,
    hash: bigint,
    key: readonly [bigint, bigint],
    signature: readonly [bigint, bigint],
  ): boolean {
    const memory = new Uint8Array(this.#ec.memory.buffer);
    const put = (at: number, ...values: bigint[]): void => {
      for (const [i, value] of values.entries())
        memory.set(toBytes(value, curve.bytes), at + i * curve.bytes);
    };
    put(this.#ec.digestAddress(), hash);
    put(this.#ec.keyAddress(), ...key);
    put(this.#ec.signatureAddress(), ...signature);
    return this.#ec.verify(curve.p384) === 1;
  }
}
