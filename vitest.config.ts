import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BROWSER_ENTRIES, SDK_ENTRIES } from './scripts/entries.mjs';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Tests run over the sources; tests of commands run the built files. */
export const alias = [...SDK_ENTRIES, ...BROWSER_ENTRIES].flatMap(({ subpath, source }) =>
  subpath === undefined
    ? []
    : [
        {
          find: new RegExp(`^${`tee-verify${subpath.slice(1)}`.replaceAll('/', '\\/')}$`),
          replacement: here(source),
        },
      ],
);

const { TEST_RESULTS } = process.env;

/** CI counts the tests from the file that TEST_RESULTS names. */
export const reporters =
  TEST_RESULTS === undefined
    ? ['default']
    : ['default', ['json', { outputFile: TEST_RESULTS }] as [string, object]];

export default defineConfig({
  resolve: { alias },
  test: {
    reporters,
    // One less would be one alone on a machine of two cores.
    maxWorkers: availableParallelism(),
    include: ['{src,node,browser,wasm-fallback,test-vectors,tools,scripts}/**/*.test.ts'],
    exclude: ['**/*.system.test.ts', '**/node_modules/**', '**/dist/**', 'build/**'],
    setupFiles: ['src/test-support/provide-hints.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    coverage: {
      provider: 'v8',
      include: ['{src,node,browser,wasm-fallback,tools}/**/*.ts'],
      exclude: [
        '**/*.test.ts',
        '**/*.bench.ts',
        '**/test-support/**',
        '**/testing/**',
        'wasm-fallback/assembly/**',
        '**/dist/**',
      ],
      reporter: ['text-summary', 'html', 'json-summary'],
    },
  },
});
