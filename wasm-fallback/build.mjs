// Builds ec.wasm, its sha256, and ec-wasm.ts, which holds the same bytes for inlining.
//   node wasm-fallback/build.mjs           writes them
//   node wasm-fallback/build.mjs --check   builds again and compares; exit status 1 on a difference

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { compile } from './compile.mjs';
import { fieldSource } from './generate-field.mjs';

const FIELD = 'assembly/field-unrolled.ts';
const MAX_GZIP_BYTES = 12 * 1024;
const at = (name) => new URL(name, import.meta.url);
const current = (name) => {
  try {
    return readFileSync(at(name));
  } catch {
    return Buffer.alloc(0);
  }
};

const check = process.argv.includes('--check');
const differing = [];
/** Writes the file, or compares. */
function put(name, contents) {
  const same = current(name).equals(Buffer.from(contents));
  if (check && !same) differing.push(name);
  else if (!check && !same) writeFileSync(at(name), contents);
}

put(FIELD, fieldSource());
if (differing.length === 0) {
  const wasm = Buffer.from(await compile('index.ts'));
  const sha256 = createHash('sha256').update(wasm).digest('hex');
  put('ec.wasm', wasm);
  put('ec.wasm.sha256', `${sha256}  ec.wasm\n`);
  put(
    'ec-wasm.ts',
    '// Written by build.mjs: the bytes of ec.wasm in base64. Do not edit.\n' +
      `export const EC_WASM_BASE64: string =\n  '${wasm.toString('base64')}';\n`,
  );
  const gzip = gzipSync(wasm, { level: 9 }).length;
  console.log(`ec.wasm ${wasm.length} bytes, ${gzip} gzip, sha256 ${sha256}`);
  if (gzip > MAX_GZIP_BYTES) {
    console.error(`ec.wasm is larger than ${MAX_GZIP_BYTES} bytes gzip`);
    process.exitCode = 1;
  }
}
if (differing.length > 0) {
  console.error(`differs from its source: ${differing.join(', ')}; run npm run build:wasm`);
  process.exitCode = 1;
} else if (check) console.log('the committed files are what the source builds');
