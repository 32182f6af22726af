import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { writeOutput } from '../common/command-line.js';
import { replaceFile } from '../common/replace-file.js';
import { ToolError } from '../common/tool-error.js';

/**
 * Writes a secret to standard output, as it is, or to a file that only its owner reads (mode 0600,
 * or less when an old file has less). The file appears whole or not at all. Links, pipes, devices
 * and files of other users are refused: nobody can have put one there to catch the secret.
 * @throws ToolError `file.unwritable`, `usage.option-conflict`
 */
export async function writeSecret(path: string | undefined, secret: Uint8Array): Promise<void> {
  if (path === undefined || path === '-') {
    await writeOutput(undefined, secret);
    return;
  }
  await writableOrThrow(path, async () => {
    const old = await findOld(path);
    const mode = 0o600 & (old?.mode ?? 0o600);
    await replaceFile(path, 0o600, async (file) => {
      await file.writeFile(secret);
      await file.chmod(mode);
      await file.sync();
    });
  });
}

/**
 * Before anything is asked of the key service: a terminal is no place for bytes, and what
 * `writeSecret` would refuse is refused now.
 * @throws ToolError `file.unwritable`, `usage.option-conflict`
 */
export async function checkTarget(path: string | undefined): Promise<void> {
  if (path !== undefined && path !== '-') {
    await writableOrThrow(path, () => findOld(path));
    return;
  }
  if (process.stdout.isTTY === true)
    throw new ToolError('usage.option-conflict', {
      expected: '--out <file> or a pipe for the bytes of the secret',
      actual: 'a terminal',
    });
}

/** The file that is there already, when it may be replaced. */
async function findOld(path: string): Promise<Stats | undefined> {
  const old = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (old !== undefined) refuseUnsafe(old, path);
  return old;
}

async function writableOrThrow<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    const { code } = cause as { code?: unknown };
    throw new ToolError('file.unwritable', {
      actual: `${typeof code === 'string' ? code : 'an error'} at ${path}`,
      cause,
    });
  }
}

function refuseUnsafe(old: Stats, path: string): void {
  const what = old.isSymbolicLink() ? 'a link' : old.isFile() ? undefined : 'no regular file';
  const isOurs = old.uid === process.geteuid?.();
  if (what === undefined && isOurs) return;
  throw new ToolError('file.unwritable', {
    expected: 'a new file, or a regular one of this user',
    actual: `${what ?? "another user's file"} at ${path}`,
    hint: 'Name the file itself, or write to standard output and let the shell open the file.',
  });
}
