import { writeFile } from 'node:fs/promises';
import { CommanderError } from 'commander';
import { AttestationError } from 'tee-verify';
import { ToolError } from '../common/tool-error.js';

/** Exit statuses of the command: fine, rejected or different, usage or unreadable file. */
export const EXIT = { ok: 0, rejected: 1, usage: 2 } as const;

/**
 * Turns an error into one clear message on standard error and gives the exit status. Errors that
 * nobody foresaw are thrown on: they are faults of this program.
 */
export function reportError(error: unknown): number {
  // Commander has printed its message already; --help and --version are no failure.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof AttestationError || error instanceof ToolError) {
    process.stderr.write(`tee-image: ${error.message}\n  hint: ${error.hint}\n`);
    if (error instanceof AttestationError) return EXIT.rejected;
    return error.area === 'usage' || error.area === 'file' ? EXIT.usage : EXIT.rejected;
  }
  throw error;
}

/** Writes a text to a file, or to standard output without one or for `-`. Throws `file.unwritable`. */
export async function writeOutput(text: string, path?: string): Promise<void> {
  if (path === undefined || path === '-') {
    await new Promise<void>((resolve) => {
      process.stdout.write(text, () => resolve());
    });
    return;
  }
  try {
    await writeFile(path, text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ToolError('file.unwritable', { actual: `${path}: ${reason}`, cause });
  }
}
