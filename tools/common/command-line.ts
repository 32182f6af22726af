import { constants, fstatSync, type Stats, writeFileSync } from 'node:fs';
import { type FileHandle, open, readlink, realpath, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { CommanderError } from 'commander';
import { concatBytes } from 'tee-verify/bytes';
import { replaceFile } from './replace-file.js';
import { ToolError } from './tool-error.js';

// As many as Linux follows.
const MAX_LINKS = 40;

/** Exit status of the tools. */
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/**
 * Reads a whole file, or standard input for `-`.
 * @throws ToolError `file.unreadable`, `file.too-large`
 */
export async function readInput(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    if (path === '-') return await readAll(process.stdin, maxBytes, 'standard input');
    const file: FileHandle = await open(path, constants.O_RDONLY);
    try {
      // Files of /sys and /proc have no size: only reading tells.
      return await readAll(file.createReadStream({ autoClose: false }), maxBytes, path);
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    throw new ToolError('file.unreadable', { actual: describe(cause, path), cause });
  }
}

async function readAll(
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number,
  name: string,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > maxBytes)
      throw new ToolError('file.too-large', {
        expected: `at most ${maxBytes} bytes`,
        actual: `more in ${name}`,
      });
    chunks.push(chunk);
  }
  return concatBytes(...chunks);
}

/**
 * Writes a whole file, or standard output for `-` and undefined.
 *
 * A regular file is replaced in one step, so that a reader never sees half of it and a failure
 * leaves the old content; links are followed, and an old file's mode is kept. A pipe or device is
 * written as it is.
 * @throws ToolError `file.unwritable`
 */
export async function writeOutput(
  path: string | undefined,
  bytes: Uint8Array | string,
): Promise<void> {
  if (path === undefined || path === '-' || path === '/dev/stdout') {
    await writeStandardOutput(bytes);
    return;
  }
  try {
    const found = await statIfThere(path);
    const target = await followLinks(path);
    const same = await statIfThere(target);
    // What /dev/fd names may be open but no longer, or not, at a place of its own.
    const isThere = found?.ino === same?.ino && found?.dev === same?.dev;
    if (isThere && found?.isFile() !== false)
      await replaceFile(target, found === undefined ? 0o644 : found.mode & 0o777, async (file) => {
        if (found !== undefined) await keepOwnerAndMode(file, found);
        await file.writeFile(bytes);
      });
    else await writeFile(path, bytes);
  } catch (cause) {
    throw new ToolError('file.unwritable', { actual: describe(cause, path), cause });
  }
}

async function writeStandardOutput(bytes: Uint8Array | string): Promise<void> {
  const unwritable = (cause: unknown): ToolError =>
    new ToolError('file.unwritable', { actual: describe(cause, 'standard output'), cause });
  // Node's stream does not notice when only a part fits into a file (a full disk).
  if (isRegularFile(process.stdout.fd)) {
    try {
      writeFileSync(process.stdout.fd, bytes);
    } catch (cause) {
      throw unwritable(cause);
    }
    return;
  }
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(bytes, (error) => {
      if (error == null) resolve();
      // Later than the listener of tolerateClosedPipe, which ends the process with its own line.
      else setImmediate(() => reject(unwritable(error)));
    });
  });
}

function isRegularFile(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFile();
  } catch {
    return false;
  }
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where a path leads, even when nothing is there yet. */
async function followLinks(path: string): Promise<string> {
  let target = path;
  for (let count = 0; count < MAX_LINKS; count++) {
    let link: string;
    try {
      link = await readlink(target);
    } catch {
      return target;
    }
    // Relative to the folder as it is, not as it is written: `..` may lead out of a link.
    target = isAbsolute(link) ? link : join(await realpath(dirname(target)), link);
  }
  return path;
}

async function keepOwnerAndMode(file: FileHandle, old: Stats): Promise<void> {
  const { uid, gid } = await file.stat();
  // Only root may give files away; for others the file then belongs to who wrote it.
  if (uid !== old.uid || gid !== old.gid) await file.chown(old.uid, old.gid).catch(() => undefined);
  await file.chmod(old.mode & 0o777);
}

/** Prints an error as one line and gives the exit status that belongs to it. */
export function reportError(program: string, error: unknown): number {
  // Commander has printed its own line already; help and version are not errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const { code, hint } = error as { code?: unknown; hint?: unknown };
  const known =
    error instanceof ToolError || (error instanceof Error && error.name === 'AttestationError');
  if (!known) {
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${program}: internal error: ${oneLine(text)}\n`);
    return EXIT.failed;
  }
  const hintText = typeof hint === 'string' && hint !== '' ? ` Hint: ${hint}` : '';
  process.stderr.write(`${program}: ${oneLine(`${(error as Error).message}.${hintText}`)}\n`);
  if (typeof code === 'string' && code.endsWith('.interrupted')) return EXIT.interrupted;
  const isUsage = typeof code === 'string' && /^(usage|file|simulator)\./.test(code);
  return isUsage ? EXIT.usage : EXIT.failed;
}

/**
 * Ends the process without a stack trace when standard output cannot be written. A reader that
 * closes the pipe early (`tool --help | head`) is nothing to talk about; anything else, such as a
 * full disk, is one line and exit status 2.
 */
export function tolerateClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.failed);
    const program = basename(process.argv[1] ?? 'tee-tools', '.js');
    const actual = describe(error, 'standard output');
    process.exit(reportError(program, new ToolError('file.unwritable', { actual, cause: error })));
  });
  // Nobody is left to be told; the exit status still says it.
  process.stderr.on('error', () => undefined);
}

/** A line on standard error that says what is being done; nothing when that is no terminal. */
export class ProgressLine {
  readonly #visible = process.stderr.isTTY === true;
  #shown = false;

  show(text: string): void {
    if (!this.#visible) return;
    process.stderr.write(`\r\u001b[K${text}…`);
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\u001b[K');
    this.#shown = false;
  }
}

/** Calls `interrupt` at the first SIGINT or SIGTERM; the second one ends the process with `end`. */
export function onInterrupt(
  interrupt: () => void,
  end: () => void = () => process.exit(EXIT.interrupted),
): () => void {
  let count = 0;
  const handler = (): void => {
    count++;
    if (count > 1) end();
    else interrupt();
  };
  process.on('SIGINT', handler);
  process.on('SIGTERM', handler);
  return () => {
    process.off('SIGINT', handler);
    process.off('SIGTERM', handler);
  };
}

function describe(cause: unknown, path: string): string {
  const code = (cause as { code?: unknown }).code;
  return `${typeof code === 'string' ? code : 'an error'} at ${path}`;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}
