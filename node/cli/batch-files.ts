import { createReadStream } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { UsageError } from './exit.js';

/** Longer than any path; a list without line ends must not fill the memory. */
const MAX_LINE_BYTES = 65_536;

/**
 * Paths one by one: the files of a directory (links to files too; its folders are not entered), or
 * the lines of a list, relative to the list. `-` is a list on standard input. Throws `UsageError`.
 */
export async function* listFiles(source: string): AsyncGenerator<string> {
  const kind = source === '-' ? 'list' : await kindOf(source);
  if (kind === 'directory') yield* listDirectory(source);
  else yield* listLines(source);
}

/** Whether the source can be read twice: once to count, once to verify. */
export async function isCountable(source: string): Promise<boolean> {
  return source !== '-' && (await kindOf(source)) !== 'stream';
}

async function kindOf(path: string): Promise<'directory' | 'list' | 'stream'> {
  try {
    const facts = await stat(path);
    return facts.isDirectory() ? 'directory' : facts.isFile() ? 'list' : 'stream';
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function* listDirectory(path: string): AsyncGenerator<string> {
  for await (const entry of await opendir(path)) {
    const file = join(path, entry.name);
    if (entry.isFile()) yield file;
    else if (entry.isSymbolicLink()) {
      const target = await stat(file).catch(() => undefined);
      // A dangling link is named as unreadable rather than passed over.
      if (!target?.isDirectory()) yield file;
    }
  }
}

async function* listLines(source: string): AsyncGenerator<string> {
  const base = source === '-' ? '.' : dirname(source);
  for await (const line of readLines(source)) {
    const path = line.trim();
    if (path !== '') yield isAbsolute(path) ? path : join(base, path);
  }
}

async function* readLines(source: string): AsyncGenerator<string> {
  const stream = source === '-' ? process.stdin : createReadStream(source);
  stream.setEncoding('utf8');
  let rest = '';
  try {
    for await (const chunk of stream) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() as string;
      yield* lines;
      if (rest.length > MAX_LINE_BYTES)
        throw new UsageError(
          `${source} is not a list of paths: a line has over ${MAX_LINE_BYTES} characters`,
        );
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw unreadable(source, error);
  }
  yield rest;
}

function unreadable(path: string, error: unknown): UsageError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = code === 'ENOENT' ? 'no such file or directory' : message;
  return new UsageError(`cannot read ${path}: ${reason}`);
}
