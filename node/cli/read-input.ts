import { open } from 'node:fs/promises';
import { UsageError } from './exit.js';

/** Twice the cap of a bundle: hex text of the largest thing that is accepted, with room for line ends. */
const MAX_FILE_BYTES = 2_200_000;

/**
 * The bytes of a file, or of standard input for `-`, but never many more than the verifier accepts:
 * it then says `evidence.too-large`. Throws `UsageError` when the file can't be read.
 */
export async function readInput(path: string): Promise<Uint8Array> {
  try {
    return path === '-' ? await readStandardInput() : await readFileCapped(path);
  } catch (error) {
    throw new UsageError(`cannot read ${path === '-' ? 'standard input' : path}: ${reason(error)}`);
  }
}

/** Standard input can be read once. Throws `UsageError` when more than one path is `-`. */
export function oneStandardInput(...paths: readonly (string | undefined)[]): void {
  if (paths.filter((path) => path === '-').length > 1)
    throw new UsageError('only one of the inputs can come from standard input (-)');
}

async function readFileCapped(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const chunks: Uint8Array[] = [];
    let length = 0;
    while (length <= MAX_FILE_BYTES) {
      const { bytesRead, buffer } = await file.read(new Uint8Array(65_536), 0, 65_536);
      if (bytesRead === 0) break;
      chunks.push(buffer.subarray(0, bytesRead));
      length += bytesRead;
    }
    return new Uint8Array(Buffer.concat(chunks));
  } finally {
    await file.close();
  }
}

async function readStandardInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Uint8Array);
    length += (chunk as Uint8Array).length;
    if (length > MAX_FILE_BYTES) break;
  }
  return new Uint8Array(Buffer.concat(chunks));
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
  ENOTDIR: 'a part of its path is not a directory',
};

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? message;
}
