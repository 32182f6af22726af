import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { compile } from './compile.mjs';
import { EC_WASM_BASE64 } from './ec-wasm.js';
import { ecWasm } from './test-support/shipped.js';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('ec.wasm', () => {
  it('has the committed sha256, and ec-wasm.ts holds the same bytes', () => {
    const committed = readFileSync(new URL('ec.wasm.sha256', import.meta.url), 'utf8');
    expect(committed).toBe(`${sha256(ecWasm)}  ec.wasm\n`);
    expect(sha256(Buffer.from(EC_WASM_BASE64, 'base64'))).toBe(sha256(ecWasm));
  });

  it('is what the source builds, bit for bit', async () => {
    expect(sha256(await compile('index.ts'))).toBe(sha256(ecWasm));
  });

  it('imports nothing, exports no more than verification and hashing, and is small', () => {
    const module = new WebAssembly.Module(ecWasm);
    expect(WebAssembly.Module.imports(module)).toEqual([]);
    expect(WebAssembly.Module.exports(module).map(({ name }) => name)).toEqual([
      'inputAddress',
      'inputSize',
      'digestAddress',
      'keyAddress',
      'signatureAddress',
      'hashStart',
      'hashUpdate',
      'hashFinish',
      'verify',
      'memory',
    ]);
    expect(gzipSync(ecWasm, { level: 9 }).length).toBeLessThanOrEqual(12 * 1024);
  });
});
