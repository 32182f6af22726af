import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { ToolError } from '../../common/tool-error.js';
import type { RootEntry } from './root-tree.js';

const MAX_BYTES = 64 * 1024;
const MAX_LINKS = 8;

/**
 * The text that describes the operating system: of the root (os-release(5)), or a short one made of
 * the image's name. Throws `root.os-release`.
 */
export async function readOsRelease(
  folder: string,
  entries: readonly RootEntry[],
  { name, version }: { readonly name: string; readonly version: string },
): Promise<Uint8Array> {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const path = ['etc/os-release', 'usr/lib/os-release', 'lib/os-release']
    .map((candidate) => follow(byPath, candidate))
    .find((found) => found !== undefined);
  if (path === undefined) {
    const id = name.toLowerCase().replace(/[^a-z0-9._-]/g, '-');
    const text = `ID=${id}\nNAME="${name}"\nVERSION_ID="${version}"\nPRETTY_NAME="${name} ${version}"\n`;
    return new TextEncoder().encode(text);
  }
  const file = Buffer.from(`${folder}/`);
  return checkOsRelease(await readFile(Buffer.concat([file, Buffer.from(path, 'latin1')])));
}

/** Throws `root.os-release`. */
export function checkOsRelease(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0 || bytes.length > MAX_BYTES || bytes.includes(0))
    throw new ToolError('root.os-release', {
      expected: `a text of 1 to ${MAX_BYTES} bytes`,
      actual: `${bytes.length} bytes`,
    });
  return new Uint8Array(bytes);
}

/** The file that a path leads to inside the root; links are never followed out of it. */
function follow(byPath: ReadonlyMap<string, RootEntry>, start: string): string | undefined {
  let path = start;
  for (let links = 0; links < MAX_LINKS; links++) {
    const entry = byPath.get(path);
    if (entry?.kind === 'file') return path;
    if (entry?.kind !== 'symlink') return undefined;
    const target = posix.resolve('/', posix.dirname(`/${path}`), entry.target ?? '');
    path = target.slice(1);
  }
  return undefined;
}
