/**
 * What the build makes, as tables. A new entry is one new row (and, when it is public, its line in
 * `exports` or `bin` of the package: scripts/check-package.mjs compares the two).
 *
 * `source` and `output` are relative to the repository root; `subpath` is the public name.
 * A row whose source does not exist is skipped and named.
 */

/** Entries of tee-verify for Node and for other people's bundlers; they share chunks. */
export const SDK_ENTRIES = [
  // On Node the main entry is Node's, with node:crypto as its default.
  { source: 'src/index.ts', output: 'dist/index.js', subpath: '.', onNode: 'dist/node.js' },
  { source: 'node/index.ts', output: 'dist/node.js', subpath: './node' },
  { source: 'node/cli.ts', output: 'dist/cli.js', bin: 'tee-verify' },
  { source: 'node/verifier-worker.ts', output: 'dist/verifier-worker.js', internal: true },
  { source: 'wasm-fallback/index.ts', output: 'dist/wasm-fallback.js', subpath: './wasm-fallback' },
  { source: 'src/bytes/index.ts', output: 'dist/bytes.js', subpath: './bytes' },
  { source: 'src/manifest/index.ts', output: 'dist/manifest.js', subpath: './manifest' },
  { source: 'src/measure/index.ts', output: 'dist/measure.js', subpath: './measure' },
  { source: 'src/result/index.ts', output: 'dist/result.js', subpath: './result' },
];

/**
 * Self-contained files for browsers: minified, noble and jose in chunks of their own; `inline`: all in
 * one file, because a service worker may not load anything later.
 */
export const BROWSER_ENTRIES = [
  { source: 'browser/index.ts', output: 'dist/browser.js', subpath: './browser' },
  {
    source: 'browser/service-worker.ts',
    output: 'dist/service-worker.js',
    subpath: './service-worker',
    inline: true,
  },
];

/** Pages: HTML with classic scripts, which also work from file://. */
export const PAGES = [
  {
    entry: 'browser/page/page.ts',
    html: 'browser/page/index.html',
    out: 'dist/page',
    weigh: 'build/size/page.txt',
  },
  // Not shipped: the page of npm run demo:web.
  { entry: 'browser/demo/live.ts', html: 'browser/demo/index.html', out: 'build/demo-web' },
];

/** Entries of tee-tools; `tools/dist` is the `dist` of that package. */
export const TOOLS_ENTRIES = [
  { source: 'tools/agent/cli.ts', output: 'tools/dist/tee-attest.js', bin: 'tee-attest' },
  { source: 'tools/agent/index.ts', output: 'tools/dist/agent.js', subpath: './agent' },
  { source: 'tools/simulator/cli.ts', output: 'tools/dist/tee-simulator.js', bin: 'tee-simulator' },
  { source: 'tools/simulator/index.ts', output: 'tools/dist/simulator.js', subpath: './simulator' },
  { source: 'tools/image/cli.ts', output: 'tools/dist/tee-image.js', bin: 'tee-image' },
  { source: 'tools/image/index.ts', output: 'tools/dist/image.js', subpath: './image' },
  { source: 'tools/eif/cli.ts', output: 'tools/dist/tee-eif.js', bin: 'tee-eif' },
  { source: 'tools/eif/index.ts', output: 'tools/dist/eif.js', subpath: './eif' },
  { source: 'tools/ami/cli.ts', output: 'tools/dist/tee-ami.js', bin: 'tee-ami' },
  { source: 'tools/ami/index.ts', output: 'tools/dist/ami.js', subpath: './ami' },
  { source: 'tools/kms/cli.ts', output: 'tools/dist/tee-kms.js', bin: 'tee-kms' },
  { source: 'tools/kms/index.ts', output: 'tools/dist/kms.js', subpath: './kms' },
  { source: 'tools/service/cli.ts', output: 'tools/dist/tee-verifier.js', bin: 'tee-verifier' },
  { source: 'tools/service/index.ts', output: 'tools/dist/service.js', subpath: './service' },
  {
    source: 'tools/service/redis-challenge-store.ts',
    output: 'tools/dist/service-redis.js',
    subpath: './service/redis',
  },
];

/** Where the declarations of a source folder go. */
export const TYPE_FOLDERS = [
  ['src', 'dist/types/src'],
  ['node', 'dist/types/node'],
  ['browser', 'dist/types/browser'],
  ['wasm-fallback', 'dist/types/wasm-fallback'],
  ['tools', 'tools/dist/types'],
];

/** The declarations of an entry, e.g. src/index.ts → dist/types/src/index.d.ts. */
export function typesOf(source) {
  const [folder, target] = TYPE_FOLDERS.find(([name]) => source.startsWith(`${name}/`));
  return `${target}${source.slice(folder.length).replace(/\.ts$/, '.d.ts')}`;
}
