/**
 * Checks who imports whom (CONTRIBUTING.md, "Rooms"), that no modules import each other in a
 * circle, and that src uses nothing that only Node or only a page has.
 *
 * Usage: node scripts/check-imports.mjs [--root <dir>]
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findCycles } from './lib/cycles.mjs';
import { listFiles, ROOT } from './lib/files.mjs';
import { moduleFacts } from './lib/module-facts.mjs';
import { checkFile, checkImport, isSource } from './lib/rooms.mjs';

/** What src may not use: it runs in Node, in browsers, in workers and at the edge. */
const FORBIDDEN_GLOBALS = new Set([
  ...['Buffer', 'process', 'require', 'module', '__dirname', '__filename', 'global'],
  ...['setImmediate', 'clearImmediate', 'Deno', 'Bun'],
  ...['window', 'document', 'navigator', 'location', 'history', 'localStorage', 'sessionStorage'],
  ...['indexedDB', 'XMLHttpRequest', 'HTMLElement', 'alert', 'self'],
  // A verifier reads what it is given: it never goes out by itself, nor runs text as code.
  ...['fetch', 'WebSocket', 'EventSource', 'eval', 'Function'],
]);

const FOLDERS = ['src', 'node', 'browser', 'wasm-fallback', 'test-vectors', 'tools'];

/** Every complaint about the tree under `root`, as lines of text. */
function check(root) {
  const problems = [];
  const graph = new Map();
  const files = FOLDERS.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    listFiles(join(root, folder), isSource).map((file) => `${folder}/${file}`),
  );
  const known = new Set(files);
  for (const file of files) {
    const facts = moduleFacts(file, readFileSync(join(root, file), 'utf8'));
    const misplaced = checkFile(file);
    if (misplaced !== undefined) problems.push(`${file}:1: ${misplaced}`);
    for (const { specifier, line } of facts.imports) {
      const problem = checkImport(file, specifier, known);
      if (problem !== undefined) problems.push(`${file}:${line}: ${problem}`);
    }
    if (file.startsWith('src/')) {
      for (const { name, line } of facts.globals) {
        if (FORBIDDEN_GLOBALS.has(name)) {
          problems.push(`${file}:${line}: src may not use the global ${name}`);
        }
      }
    }
    graph.set(file, facts.runtimeImports(known));
  }
  for (const cycle of findCycles(graph)) problems.push(`import cycle: ${cycle.join(' → ')}`);
  return { problems, count: files.length };
}

const { values } = parseArgs({ options: { root: { type: 'string' } } });
const { problems, count } = check(resolve(values.root ?? ROOT));
for (const problem of problems) console.error(problem);
if (count === 0) console.error('check-imports: there is no source file to check');
const bad = problems.length > 0 || count === 0;
console.log(
  bad ? `imports: ${problems.length} problem(s)` : `imports: ${count} files follow the rules`,
);
process.exitCode = bad ? 1 : 0;
