/**
 * Builds both packages: tsc emits JavaScript and declarations, rollup bundles the JavaScript.
 * Everything is made in a folder of its own and moved into place at the end, so that a reader of
 * dist never meets half a build.
 *
 * Usage: node scripts/build.mjs [--root <dir>]
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import commonjs from '@rollup/plugin-commonjs';
import json from '@rollup/plugin-json';
import nodeResolve from '@rollup/plugin-node-resolve';
import terser from '@rollup/plugin-terser';
import { rollup } from 'rollup';
import { BROWSER_ENTRIES, PAGES, SDK_ENTRIES, TOOLS_ENTRIES, TYPE_FOLDERS } from './entries.mjs';
import { buildPage } from './lib/build-page.mjs';
import { bundledPackages } from './lib/bundled-packages.mjs';
import { listFiles, ROOT } from './lib/files.mjs';
import { gzipKilobytes, kilobytes } from './lib/size.mjs';

const { values: options } = parseArgs({ options: { root: { type: 'string' } } });
const root = resolve(options.root ?? ROOT);
const stage = join(root, `.build-${process.pid}`);
const started = performance.now();

const NODE = /^node:/;
const SDK_DEPENDENCIES = /^(@noble\/|jose($|\/))/;
// The schemas of @peculiar/asn1-* are bundled: two copies in a user's tree read algorithms as "".
const TOOLS_DEPENDENCIES =
  /^(tee-verify|@noble\/|jose|cbor-x|commander|cli-progress|fflate|@peculiar\/x509|reflect-metadata|redis$|@aws-sdk\/)/;

/**
 * How files for browsers are made small. Functions that are called once stay where they are: put
 * into their caller, they are made anew at every call, and a verification takes 5 % longer.
 */
const MINIFY = {
  module: true,
  ecma: 2020,
  compress: {
    passes: 3,
    pure_getters: true,
    keep_fargs: false,
    inline: 1,
    reduce_funcs: false,
    sequences: false,
    conditionals: false,
  },
};

/** The rollup runs. Entries of one run share chunks: an error class is one class in all of them. */
const BUNDLES = [
  { name: 'tee-verify', entries: SDK_ENTRIES, out: 'dist', external: [NODE, SDK_DEPENDENCIES] },
  {
    name: 'browser',
    entries: BROWSER_ENTRIES.filter(({ inline }) => !inline),
    out: 'dist',
    chunks: 'browser',
    external: [],
    browser: true,
    weigh: 'build/size/browser.js',
  },
  {
    name: 'service worker',
    entries: BROWSER_ENTRIES.filter(({ inline }) => inline),
    out: 'dist',
    external: [],
    browser: true,
    inline: true,
  },
  {
    name: 'tee-tools',
    entries: TOOLS_ENTRIES,
    out: 'tools/dist',
    external: [NODE, TOOLS_DEPENDENCIES],
  },
  // Not shipped: the main entry as an application's bundler would make it.
  {
    name: 'size',
    entries: SDK_ENTRIES.filter(({ subpath }) => subpath === '.'),
    out: 'dist',
    ship: false,
    external: [/^@noble\//],
    browser: true,
    weigh: 'build/size/main.js',
  },
];

/** Where tsc put the JavaScript of a source, e.g. src/index.ts → <stage>/build/src/index.js. */
const emitted = (source) => join(stage, 'build', source.replace(/\.ts$/, '.js'));

/** The name of an output inside its own output folder, without its ending. */
const nameIn = (out, output) => relative(out, output).replace(/\.js$/, '');

/** Runs tsc; its messages go to the terminal. Emits even when there are errors. */
function emit() {
  const tsc = createRequire(join(root, 'package.json')).resolve('typescript/package.json');
  const { bin } = JSON.parse(readFileSync(tsc, 'utf8'));
  const run = spawnSync(
    process.execPath,
    [
      join(dirname(tsc), bin.tsc),
      ...['-p', 'tsconfig.build.json', '--outDir', join(stage, 'build')],
      ...['--declarationDir', join(stage, 'types')],
    ],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  return run.status === 0;
}

/** Hands tsc's source maps to rollup, so that its maps lead to the TypeScript. */
const tscSourceMaps = {
  name: 'tsc-source-maps',
  load(id) {
    const map = `${id}.map`;
    if (!id.startsWith(stage) || !existsSync(map)) return null;
    return { code: readFileSync(id, 'utf8'), map: JSON.parse(readFileSync(map, 'utf8')) };
  },
};

/** What a page loads at once for an entry: its code and that of every chunk it imports statically. */
function loadedAtOnce(chunks) {
  const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
  const loaded = new Set(chunks.filter(({ isEntry }) => isEntry));
  for (const chunk of loaded) {
    for (const name of chunk.imports) if (byName.has(name)) loaded.add(byName.get(name));
  }
  return [...loaded].map(({ code }) => code).join('\n');
}

async function bundle(options) {
  const { name, entries, out, chunks = 'chunks', external, browser = false } = options;
  const { ship = true, inline = false, weigh } = options;
  const present = entries.filter(({ source }) => existsSync(emitted(source)));
  for (const { source } of entries.filter((entry) => !present.includes(entry))) {
    console.log(`  skipped: ${source} does not exist (${name})`);
  }
  if (present.length === 0) return [];
  const built = await rollup({
    input: Object.fromEntries(
      present.map(({ source, output }) => [nameIn(out, output), emitted(source)]),
    ),
    // An unshipped bundle is only weighed: it needs no facade that keeps its exports exact.
    preserveEntrySignatures: ship ? 'strict' : 'allow-extension',
    external: (id) => external.some((pattern) => pattern.test(id)),
    plugins: [
      tscSourceMaps,
      nodeResolve({ browser, preferBuiltins: !browser, exportConditions: ['import', 'default'] }),
      commonjs(),
      json(),
    ],
    onLog(level, log) {
      if (level === 'debug' || level === 'info') return;
      // A dependency that cannot be found would be left out of the bundle without a word.
      if (log.code === 'UNRESOLVED_IMPORT') throw new Error(`${name}: ${log.message}`);
      console.log(`  ${level}: ${log.message}`);
    },
  });
  const { output } = await built[ship ? 'write' : 'generate']({
    dir: join(stage, out),
    format: 'es',
    entryFileNames: '[name].js',
    chunkFileNames: `${chunks}/[name]-[hash].js`,
    sourcemap: browser,
    inlineDynamicImports: inline,
    // The maps are written in the stage but read from the final place.
    sourcemapPathTransform: (path, map) => {
      const final = join(root, relative(stage, dirname(map)));
      return relative(final, resolve(dirname(map), path));
    },
    plugins: browser ? [terser(MINIFY)] : [],
    generatedCode: 'es2015',
  });
  await built.close();
  const written = output.filter(({ type }) => type === 'chunk');
  if (weigh !== undefined) {
    mkdirSync(dirname(join(stage, weigh)), { recursive: true });
    writeFileSync(join(stage, weigh), loadedAtOnce(written));
  }
  return (ship ? written : []).map(({ fileName, moduleIds }) => ({
    file: `${out}/${fileName}`,
    moduleIds,
  }));
}

/** The pages of browser/: the verify page ships, the one of `npm run demo:web` does not. */
async function buildPages() {
  const made = [];
  for (const { out, html, entry, weigh } of PAGES) {
    if (!existsSync(emitted(entry))) continue;
    const folder = join(stage, out);
    const chunks = await buildPage({ root, emitted, out: folder, entry, html });
    made.push(
      ...chunks.map(({ fileName, moduleIds }) => ({ file: `${out}/${fileName}`, moduleIds })),
    );
    if (weigh === undefined) continue;
    const files = ['index.html', 'page.css', 'icon.svg', 'loader.js'];
    const texts = files.map((file) => readFileSync(join(folder, file), 'utf8'));
    writeFileSync(join(stage, weigh), `${texts.join('\n')}\n${loadedAtOnce(chunks)}`);
  }
  return made;
}

/** Puts the declarations beside the bundles of the package they belong to. */
function placeTypes() {
  for (const [folder, target] of TYPE_FOLDERS) {
    const from = join(stage, 'types', folder);
    if (!existsSync(from)) continue;
    for (const file of listFiles(from, (path) => path.endsWith('.d.ts'))) {
      cpSync(join(from, file), join(stage, target, file));
    }
  }
}

/** Moves what was made into place, each folder in one step. */
function publish() {
  for (const folder of ['dist', 'tools/dist', 'build']) {
    const from = join(stage, folder);
    if (!existsSync(from)) continue;
    const old = join(stage, `old-${folder.replace('/', '-')}`);
    const target = join(root, folder);
    mkdirSync(dirname(target), { recursive: true });
    // Another build may put its own folder there in between: then that one has to go, too.
    for (let attempt = 0; existsSync(from); attempt++) {
      try {
        if (existsSync(target)) renameSync(target, `${old}-${attempt}`);
        renameSync(from, target);
      } catch (error) {
        if (attempt === 9) throw error;
      }
    }
  }
}

let ok = false;
try {
  ok = emit();
  if (!existsSync(join(stage, 'build'))) throw new Error('tsc emitted nothing');
  const made = [];
  for (const one of BUNDLES) made.push(...(await bundle(one)));
  made.push(...(await buildPages()));
  placeTypes();
  // For THIRD-PARTY.md: whose code stands in what each package ships.
  for (const [dist, list] of [
    ['dist/', 'bundled-packages.json'],
    ['tools/dist/', 'bundled-packages-tools.json'],
  ]) {
    const shipped = made.filter(({ file }) => file.startsWith(dist));
    writeFileSync(
      join(stage, 'build', list),
      JSON.stringify(bundledPackages(shipped.flatMap(({ moduleIds }) => moduleIds))),
    );
  }
  publish();
  for (const { file } of made) {
    const path = join(root, file);
    console.log(
      `  ${file}  ${kilobytes(statSync(path).size)}, gzip ${gzipKilobytes(readFileSync(path))}`,
    );
  }
} catch (error) {
  ok = false;
  console.error(`build: ${error instanceof Error ? error.message : error}`);
} finally {
  rmSync(stage, { recursive: true, force: true });
}
const seconds = ((performance.now() - started) / 1000).toFixed(1);
console.log(ok ? `built in ${seconds} s` : `build FAILED after ${seconds} s`);
process.exitCode = ok ? 0 : 1;
