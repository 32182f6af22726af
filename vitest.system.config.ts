import { defineConfig } from 'vitest/config';
import { alias, reporters } from './vitest.config.ts';

/** Tests against Debian's own programs; scripts/system-setup.sh installs those. */
export default defineConfig({
  resolve: { alias },
  test: {
    reporters,
    include: ['{src,node,browser,wasm-fallback,test-vectors,tools,scripts}/**/*.system.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', 'build/**'],
    setupFiles: ['src/test-support/provide-hints.ts'],
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
});
