import { readdirSync } from 'node:fs';
import { runCommand } from './run-command.js';

/** A folder as a gzipped cpio archive. For tests. */
export function packInitrd(root: string): Uint8Array {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  const archive = runCommand('cpio', ['--quiet', '-o', '-H', 'newc', '--reproducible'], {
    cwd: root,
    input: new TextEncoder().encode(['.', ...names].join('\n')),
  });
  return runCommand('gzip', ['-1n'], { input: archive });
}
