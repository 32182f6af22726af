// Compiles the AssemblyScript sources, in memory, with the options of the published binary.
// Only WebAssembly 1.0: nothing that an engine of 2017 doesn't know.

import { readFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';

const OPTIONS = [
  ['--optimizeLevel', '3'],
  ['--shrinkLevel', '0'],
  ['--converge'],
  ['--noAssert'],
  ['--runtime', 'stub'],
  // Static data starts at 1024. The size is fixed: four pages, 256 KB, that can never grow.
  ['--memoryBase', '1024'],
  ['--initialMemory', '4'],
  ['--maximumMemory', '4'],
  ['--disable', 'bulk-memory'],
  ['--disable', 'sign-extension'],
  ['--disable', 'nontrapping-f2i'],
  ['--disable', 'mutable-globals'],
].flat();
const SOURCES = new URL('assembly/', import.meta.url);

/** The bytes of the module that starts at `entry`, a file of assembly/. */
export async function compile(entry) {
  let wasm;
  const messages = [];
  const { error } = await asc.main([entry, '--outFile', 'out.wasm', ...OPTIONS], {
    readFile(name) {
      try {
        return readFileSync(new URL(name, SOURCES), 'utf8');
      } catch {
        return null;
      }
    },
    writeFile(name, contents) {
      if (name === 'out.wasm') wasm = contents;
    },
    listFiles: () => [],
    stdout: { write: (text) => messages.push(text) },
    stderr: { write: (text) => messages.push(text) },
  });
  if (error || !wasm || messages.length > 0)
    throw new Error(`asc ${entry}: ${error?.message ?? 'failed'}\n${messages.join('')}`);
  return wasm;
}
