import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const SKIPPED = new Set(['node_modules', 'dist', 'build', '.git', 'coverage']);

/** Every file under a folder that `accept` takes, as sorted paths relative to the folder. */
export function listFiles(folder, accept = () => true) {
  const found = [];
  const walk = (at) => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) {
        if (!SKIPPED.has(entry.name)) walk(path);
      } else if (entry.isFile() && accept(path)) {
        found.push(relative(folder, path).replaceAll('\\', '/'));
      }
    }
  };
  walk(folder);
  return found.sort();
}
