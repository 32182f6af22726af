import { renameSync, rmSync } from 'node:fs';
import { chmod, lstat, mkdtemp, readdir, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EXIT, onInterrupt } from '../../common/command-line.js';
import { ToolError } from '../../common/tool-error.js';

/** What each output has, beside its image. */
const DESCRIPTION = 'partitions.json';
const MAX_TRIES = 20;

/**
 * Makes a folder in one step: `make` gets a temporary folder beside it, which takes its place when
 * everything went well. A failure or an interruption leaves what was there before.
 *
 * What was there is replaced only when it is an earlier output: `isOwn` says of each name in it that
 * this command made it, and there is one image, with its description.
 *
 * Throws `output.not-replaceable`, `file.unwritable`, and what `make` throws.
 */
export async function replaceFolder<T>(
  path: string,
  isOwn: (name: string) => boolean,
  make: (temporary: string) => Promise<T>,
): Promise<T> {
  const target = resolve(path);
  const check = (): Promise<void> => checkReplaceable(target, isOwn);
  await check();
  const beside = join(dirname(target), `.${basename(target)}.`);
  const temporary = await writing(path, () => mkdtemp(beside));
  const stop = onInterrupt(() => {
    rmSync(temporary, { recursive: true, force: true });
    process.exit(EXIT.interrupted);
  });
  try {
    const value = await make(temporary);
    await writing(path, () => putInPlace(temporary, target, beside, check));
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
  const refuse = (actual: string): never => {
    throw new ToolError('output.not-replaceable', {
      expected: `${target}: a folder with an earlier output and nothing else, or an empty one`,
      actual,
    });
  };
  if (!stats.isDirectory()) refuse('something that is no folder');
  const files = await writing(target, () => readdir(target, { withFileTypes: true }));
  const foreign = files.find((file) => !file.isFile() || !isOwn(file.name));
  if (foreign !== undefined) refuse(foreign.name);
  const names = files.map(({ name }) => name);
  // Collected images are nobody's output.
  const images = names.filter((name) => name.endsWith('.raw'));
  if (images.length > 1) refuse(`${images.length} images: ${images.slice(0, 3).join(', ')}`);
  if (images.length === 1 && !names.includes(DESCRIPTION))
    refuse(`${images.join()} without ${DESCRIPTION}`);
}

/**
 * The old folder goes only when the new one stands in its place. Between the two renames no signal is
 * handled; another process that does the same at the same time comes before or after as a whole.
 */
async function putInPlace(
  temporary: string,
  target: string,
  beside: string,
  check: () => Promise<void>,
): Promise<void> {
  await chmod(temporary, 0o755);
  for (let tries = 0; ; tries++) {
    if (moved(temporary, target)) return; // also replaces an empty folder
    await check(); // somebody may have put another one there
    const old = await mkdtemp(beside);
    let isDone = false;
    try {
      isDone = exchange(temporary, target, old);
    } catch (error) {
      await rmdir(old).catch(() => undefined); // not when it holds what could not be put back
      throw error;
    }
    await rm(old, { recursive: true, force: true });
    if (isDone) return;
    if (tries >= MAX_TRIES) renameSync(temporary, target); // says why not
  }
}

/** Whether the new folder is in place; without that the old one still is, or nothing. */
function exchange(temporary: string, target: string, old: string): boolean {
  try {
    renameSync(target, old);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    return moved(temporary, target);
  } catch (error) {
    renameSync(old, target);
    throw error;
  }
}

/** False when something stands there already. */
function moved(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
