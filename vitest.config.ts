import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    // Tests run over the sources; tests of commands run the built files.
    alias: [
      { find: /^tee-verify$/, replacement: here('src/index.ts') },
      { find: /^tee-verify\/node$/, replacement: here('node/index.ts') },
      { find: /^tee-verify\/bytes$/, replacement: here('src/bytes/index.ts') },
      { find: /^tee-verify\/measure$/, replacement: here('src/measure/index.ts') },
      { find: /^tee-verify\/wasm-fallback$/, replacement: here('wasm-fallback/index.ts') },
    ],
  },
  test: {
    include: ['{src,node,browser,wasm-fallback,test-vectors,tools,scripts}/**/*.test.ts'],
    exclude: ['**/*.system.test.ts', '**/node_modules/**', 'build/**'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
