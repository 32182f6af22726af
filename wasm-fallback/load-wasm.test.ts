import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

// Every test loads the module anew, as another thread would.
async function fresh() {
  vi.resetModules();
  return import('./load-wasm.js');
}

describe('loading', () => {
  const real = WebAssembly;
  beforeEach(() => vi.unstubAllGlobals());
  afterEach(() => vi.unstubAllGlobals());

  it('gives one provider a thread, however often and in whichever form it is asked', async () => {
    const { loadWasm, loadWasmAsync } = await fresh();
    const both = await Promise.all([loadWasmAsync(), loadWasmAsync()]);
    expect(both[0]).toHaveProperty('provider.name', 'wasm');
    expect(both[1]).toBe(both[0]);
    expect(loadWasm()).toBe(both[0]);
    const other = await fresh();
    const first = other.loadWasm();
    expect(first).toHaveProperty('provider.sync');
    expect(other.loadWasm()).toBe(first);
    expect(await other.loadWasmAsync()).toBe(first);
    expect(first).not.toBe(both[0]);
  });

  it('keeps the synchronous result that was quicker', async () => {
    const { loadWasm, loadWasmAsync } = await fresh();
    const later = loadWasmAsync();
    const first = loadWasm();
    expect(await later).toBe(first);
  });

  it('compiles nothing until it is asked', async () => {
    const compiled = vi.fn();
    vi.stubGlobal('WebAssembly', {
      Module: class {
        constructor() {
          compiled();
        }
      },
      Instance: real.Instance,
      instantiate: compiled,
    });
    await fresh();
    expect(compiled).not.toHaveBeenCalled();
  });

  it('says why where the engine has no WebAssembly', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    const { loadWasm, loadWasmAsync } = await fresh();
    const expected = { unavailable: 'WebAssembly: this engine has none' };
    expect(loadWasm()).toEqual(expected);
    expect(await loadWasmAsync()).toEqual(expected);
  });

  it('says why where a policy refuses, and asks again the next time', async () => {
    const refuse = (): never => {
      throw new real.CompileError('refused:\n  unsafe-eval is not allowed');
    };
    vi.stubGlobal('WebAssembly', {
      Module: class {
        constructor() {
          refuse();
        }
      },
      Instance: real.Instance,
      instantiate: async () => refuse(),
    });
    const { loadWasm, loadWasmAsync } = await fresh();
    const expected = { unavailable: 'WebAssembly: refused: unsafe-eval is not allowed' };
    expect(loadWasm()).toEqual(expected);
    expect(await loadWasmAsync()).toEqual(expected);
    vi.unstubAllGlobals();
    expect(loadWasm()).toHaveProperty('provider');
  });

  it('loads asynchronously where only large synchronous modules are refused', async () => {
    vi.stubGlobal('WebAssembly', {
      Module: class {
        constructor() {
          throw new RangeError('only 4 KB on the main thread');
        }
      },
      Instance: real.Instance,
      instantiate: real.instantiate,
    });
    const { loadWasm, loadWasmAsync } = await fresh();
    expect(loadWasm()).toEqual({ unavailable: 'WebAssembly: only 4 KB on the main thread' });
    expect(await loadWasmAsync()).toHaveProperty('provider');
    expect(loadWasm()).toHaveProperty('provider');
  });
});
