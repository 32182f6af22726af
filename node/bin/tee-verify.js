#!/usr/bin/env node
// The command of the package. The program itself is bundled into dist; a fresh checkout has none.
import { existsSync } from 'node:fs';

const program = new URL('../../dist/cli.js', import.meta.url);
if (existsSync(program)) {
  await import(program.href);
} else {
  process.stderr.write('tee-verify: dist/cli.js is missing; run npm run build first\n');
  process.exitCode = 2;
}
