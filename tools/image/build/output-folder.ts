import { rmSync } from 'node:fs';
import { chmod, lstat, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EXIT, onInterrupt } from '../../common/command-line.js';
import { ToolError } from '../../common/tool-error.js';

/**
 * Makes a folder in one step: `make` gets a temporary folder beside it, which takes its place when
 * everything went well. A failure or an interruption leaves what was there before.
 *
 * What was there is replaced only when `isOwn` says of each name in it that this command made it.
 *
 * Throws `output.not-replaceable`, `file.unwritable`, and what `make` throws.
 */
export async function replaceFolder<T>(
  path: string,
  isOwn: (name: string) => boolean,
  make: (temporary: string) => Promise<T>,
): Promise<T> {
  const target = resolve(path);
  await checkReplaceable(target, isOwn);
  const beside = join(dirname(target), `.${basename(target)}.`);
  const temporary = await writing(path, () => mkdtemp(beside));
  const stop = onInterrupt(() => {
    rmSync(temporary, { recursive: true, force: true });
    process.exit(EXIT.interrupted);
  });
  try {
    const value = await make(temporary);
    await writing(path, () => putInPlace(temporary, target, beside));
    return value;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  } finally {
    stop();
  }
}

/** Errors of the file system while `path` is written become `file.unwritable`. */
export async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code, syscall } = cause as NodeJS.ErrnoException;
    if (typeof code !== 'string' || typeof syscall !== 'string') throw cause;
    throw new ToolError('file.unwritable', { actual: `${code} at ${path}`, cause });
  }
}

async function checkReplaceable(target: string, isOwn: (name: string) => boolean): Promise<void> {
  const stats = await lstat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new ToolError('file.unwritable', { actual: `${error.code} at ${target}`, cause: error });
  });
  if (stats === undefined) return;
  const names = stats.isDirectory() ? await writing(target, () => readdir(target)) : undefined;
  const foreign = names?.find((name) => !isOwn(name));
  if (names !== undefined && foreign === undefined) return;
  throw new ToolError('output.not-replaceable', {
    expected: `${target}: a folder with nothing else in it`,
    actual: foreign === undefined ? 'something that is no folder' : foreign,
  });
}

/** The old folder goes only when the new one stands in its place. */
async function putInPlace(temporary: string, target: string, beside: string): Promise<void> {
  await chmod(temporary, 0o755);
  try {
    await rename(temporary, target); // also replaces an empty folder
    return;
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  const old = await mkdtemp(beside);
  await rename(target, old);
  try {
    await rename(temporary, target);
  } catch (error) {
    await rename(old, target);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}
