import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const SKIPPED = new Set(['node_modules', 'dist', '.git', 'coverage']);

/** Every file under a folder that `accept` takes, as sorted paths relative to the folder. */
export function listFiles(folder, accept = () => true) {
  const found = [];
  const walk = (at) => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) {
        // Only at the top is `build` what tsc made: tools/image/build has sources.
        const isOutput = entry.name === 'build' && at === folder;
        if (!SKIPPED.has(entry.name) && !isOutput) walk(path);
      } else if (entry.isFile() && accept(path)) {
        found.push(relative(folder, path).replaceAll('\\', '/'));
      }
    }
  };
  walk(folder);
  return found.sort();
}
