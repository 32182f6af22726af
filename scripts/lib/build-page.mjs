import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import nodeResolve from '@rollup/plugin-node-resolve';
import terser from '@rollup/plugin-terser';
import { rollup } from 'rollup';

/** The nonce that examples/bundle.json answers. */
const SAMPLE_NONCE = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf';

/**
 * Builds a page of browser/ out of what tsc emitted: classic scripts, because module scripts do not
 * load from file://. `loader.js` loads `page.js` and, when they are needed, the parts of it.
 * Returns rollup's chunks.
 */
export async function buildPage({ root, emitted, out, entry, html, plugins = [] }) {
  mkdirSync(out, { recursive: true });
  const folder = join(root, 'browser/page');
  const minify = terser({ ecma: 2020, compress: { passes: 2 } });
  const noWasm = {
    name: 'no-wasm',
    resolveId: (source) =>
      source.endsWith('/load-wasm.js') ? emitted('browser/page/no-wasm.ts') : null,
  };
  const browser = nodeResolve({ browser: true, exportConditions: ['import', 'default'] });
  const built = await rollup({
    input: { page: emitted(entry) },
    plugins: [noWasm, ...plugins, browser],
    onwarn: (warning) => {
      throw new Error(`${entry}: ${warning.message}`);
    },
  });
  const { output } = await built.write({
    dir: out,
    format: 'amd',
    amd: { forceJsExtensionForImports: true },
    entryFileNames: '[name].js',
    chunkFileNames: 'part-[name].js',
    intro: (chunk) =>
      Object.keys(chunk.modules).some((id) => id === emitted('browser/page/samples.ts'))
        ? `const SAMPLE = ${JSON.stringify(readSample(root))};`
        : '',
    plugins: [minify],
  });
  await built.close();
  const loader = await rollup({ input: emitted('browser/page/loader.ts') });
  await loader.write({ file: join(out, 'loader.js'), format: 'iife', plugins: [minify] });
  await loader.close();
  writeFileSync(join(out, 'page.css'), minifyCss(readFileSync(join(folder, 'page.css'), 'utf8')));
  writeFileSync(join(out, 'index.html'), readFileSync(join(root, html)));
  cpSync(join(folder, 'icon.svg'), join(out, 'icon.svg'));
  return output.filter(({ type }) => type === 'chunk');
}

/** The shipped examples, without the white space of the JSON. */
function readSample(root) {
  const read = (name) => readFileSync(join(root, 'examples', name), 'utf8');
  const compact = (name) => JSON.stringify(JSON.parse(read(name)));
  return {
    bundle: compact('bundle.json'),
    manifest: compact('manifest.json'),
    root: read('simulated-root.pem'),
    nonce: SAMPLE_NONCE,
  };
}

/** Takes out comments and white space; the style sheet has no strings that hold such. */
function minifyCss(css) {
  return css
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\s+/g, ' ')
    .replace(/ ?([{};,]) ?/g, '$1')
    .replace(/: /g, ':')
    .replace(/;}/g, '}')
    .trim();
}
