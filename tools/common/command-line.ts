import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { CommanderError } from 'commander';
import { concatBytes } from 'tee-verify/bytes';
import { ToolError } from './tool-error.js';

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
 * Writes a whole file in one step (a reader never sees half of it), or standard output for `-`
 * and undefined.
 * @throws ToolError `file.unwritable`
 */
export async function writeOutput(
  path: string | undefined,
  bytes: Uint8Array | string,
): Promise<void> {
  if (path === undefined || path === '-') {
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(bytes, (error) => {
        if (error == null) resolve();
        else
          reject(
            new ToolError('file.unwritable', {
              actual: describe(error, 'standard output'),
              cause: error,
            }),
          );
      });
    });
    return;
  }
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
      0o644,
    );
    try {
      await file.writeFile(bytes);
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new ToolError('file.unwritable', { actual: describe(cause, path), cause });
  }
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
  if (code === 'attest.interrupted') return EXIT.interrupted;
  const isUsage = typeof code === 'string' && /^(usage|file|simulator)\./.test(code);
  return isUsage ? EXIT.usage : EXIT.failed;
}

/** `tool --help | head` closes the pipe early: that is not an error of the tool. */
export function tolerateClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.failed);
    throw error;
  });
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
