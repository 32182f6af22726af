import { chmodSync, copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runCommand } from './run-command.js';

/** Copies a program and the libraries that it loads to their places below `root`. For tests. */
export function copyProgram(program: string, root: string, place: string = program): void {
  copy(program, join(root, place), 0o755);
  const libraries = new TextDecoder().decode(runCommand('ldd', [program]));
  for (const [, library = ''] of libraries.matchAll(/(\/\S+) \(0x/g))
    if (!existsSync(join(root, library))) copy(library, join(root, library), 0o755);
}

function copy(from: string, to: string, mode: number): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, mode);
}
