import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('check-imports.mjs', import.meta.url));

/** Runs the check over a tree of the given files. */
function run(files: Record<string, string>): { status: number | null; complaints: string[] } {
  const root = mkdtempSync(join(tmpdir(), 'imports-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    const { status, stderr } = spawnSync(process.execPath, [SCRIPT, '--root', root], {
      encoding: 'utf8',
    });
    return { status, complaints: stderr.split('\n').filter((line) => line !== '') };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const GOOD = {
  'src/bytes/hex.ts': `import type { Code } from '../result/codes.js';
    export const hex = (code: Code) => code;`,
  'src/result/codes.ts': `export type Code = 'a.b';`,
  'src/x509/der.ts': `import { hex } from '../bytes/hex.js'; export const der = hex;`,
  'src/nitro/document.ts': `import { der } from '../x509/der.js';
    /** The page's document is not meant: process it, or fetch it. */
    export function check(document: { process: string }) { return [document.process, { document }, der]; }`,
  'src/verify.ts': `import { check } from './nitro/document.js';
    export const load = async () => [check, await import('@noble/curves/nist.js'), await import('jose')];`,
  'src/index.ts': `export { load } from './verify.js';`,
  'src/index.test.ts': `import { readFileSync } from 'node:fs'; readFileSync(process.argv[0]!);`,
  'node/index.ts': `import { createHash } from 'node:crypto'; export * from '../src/index.js'; createHash;`,
  'tools/agent/index.ts': `export { load } from 'tee-verify'; import 'cbor-x';`,
};

describe('check-imports', () => {
  it('accepts a tree that follows the rules', () => {
    expect(run(GOOD)).toEqual({ status: 0, complaints: [] });
  });

  it.each<[string, string, string, string]>([
    ['node: in src', 'src/cose.ts', `import 'node:fs';`, 'src may not import node:fs'],
    ['a dynamic import', 'src/cose.ts', `await import('node:fs');`, 'src may not import node:fs'],
    ['a package', 'src/cose.ts', `import { encode } from 'cbor-x';`, 'src may not import cbor-x'],
    ['Buffer', 'src/cose.ts', `export const b = Buffer.from('');`, 'the global Buffer'],
    ['process', 'src/cose.ts', `export const e = process.env;`, 'the global process'],
    ['a hidden global', 'src/cose.ts', `globalThis.document.title;`, 'the global document'],
    ['a global by string', 'src/cose.ts', `globalThis['process'];`, 'the global process'],
    ['the network', 'src/cose.ts', `await fetch('x');`, 'the global fetch'],
    [
      'a step importing a step',
      'src/tpm/quote.ts',
      `import '../nitro/document.js';`,
      'tpm may not',
    ],
    [
      'types, too',
      'src/tpm/quote.ts',
      `import type { check } from '../nitro/document.js';`,
      'tpm may not',
    ],
    [
      'import types, too',
      'src/bytes/x.ts',
      `type A = import('../verify.js').load;`,
      'bytes may not',
    ],
    ['against the stream', 'src/bytes/x.ts', `export * from '../verify.js';`, 'bytes may not'],
    ['an unknown room', 'src/misc/x.ts', `import '../bytes/hex.js';`, 'no room'],
    ['src importing node', 'src/cose.ts', `import '../node/index.js';`, 'src may not import from'],
    ['the SDK importing tools', 'node/x.ts', `import 'tee-tools';`, 'node may not import'],
    ['node: in a page', 'browser/x.ts', `import 'node:fs';`, 'browser may not import node:fs'],
    ['tools by path', 'tools/x.ts', `import '../src/index.js';`, 'tools import tee-verify by its'],
    ['no ending', 'src/cose.ts', `import './bytes/hex';`, 'relative imports end in .js'],
  ])('refuses %s', (_name, path, text, complaint) => {
    const { status, complaints } = run({ ...GOOD, [path]: text });
    expect(status).toBe(1);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toMatch(new RegExp(`^${path.replaceAll('.', '\\.')}:1: `));
    expect(complaints[0]).toContain(complaint);
  });

  it('names a cycle, but not one of types alone', () => {
    const a = 'src/tpm/a.ts';
    const b = 'src/tpm/b.ts';
    const back = `import { b } from './b.js'; export const a = b;`;
    expect(
      run({ ...GOOD, [a]: back, [b]: `import { a } from './a.js'; export const b = () => a;` }),
    ).toEqual({ status: 1, complaints: [`import cycle: ${a} → ${b} → ${a}`] });
    expect(
      run({ ...GOOD, [a]: back, [b]: `import type { a } from './a.js'; export let b: typeof a;` })
        .status,
    ).toBe(0);
  });

  it('fails when there is nothing to check', () => {
    expect(run({ 'README.md': '' }).status).toBe(1);
  });
});
