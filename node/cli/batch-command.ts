import { createReadStream } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { createInterface } from 'node:readline';
import { SingleBar } from 'cli-progress';
import { type Command, InvalidArgumentError } from 'commander';
import type { Report } from '../../src/index.js';
import { createVerifierPool } from '../index.js';
import { EXIT, UsageError } from './exit.js';
import { readInput } from './read-input.js';
import { printable, styleFor } from './style.js';
import { addVerifyOptions, toVerifyOptions, type VerifyFlags } from './verify-options.js';

interface Flags extends VerifyFlags {
  readonly jsonl?: true;
  readonly concurrency: number;
}

/** One line of the audit. */
interface Line {
  readonly file: string;
  readonly verdict: Report['verdict'] | 'unreadable';
  readonly code?: string;
  readonly step?: string;
  readonly message?: string;
  readonly moduleId?: string;
  readonly timestampMs?: number;
  readonly measurementSet?: string;
}

/** `tee-verify batch <dir or list>`: audits any number of files, one line each. */
export function addBatchCommand(program: Command): void {
  const command = program
    .command('batch')
    .description('verify every file of a directory or list, one line each, then a summary')
    .argument('<source>', 'a directory, a text file with one path a line, or - for such a list')
    .option('--jsonl', 'print one JSON object a line; the summary goes to standard error')
    .option(
      '--concurrency <n>',
      'how many files at once',
      parseConcurrency,
      2 * availableParallelism(),
    );
  addVerifyOptions(command).action(async (source: string, flags: Flags) => {
    const options = await toVerifyOptions(flags);
    const manifest = await readInput(flags.manifest);
    const counts = new Map<string, number>();
    const bar = await startBar(source);
    const write = (line: Line): void => {
      const key = line.verdict === 'rejected' ? (line.code ?? 'rejected') : line.verdict;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      if (bar === undefined) process.stdout.write(`${format(line, flags.jsonl === true)}\n`);
      else bar.line(format(line, flags.jsonl === true));
    };
    const pool = createVerifierPool({
      threads: Math.min(flags.concurrency, availableParallelism()),
      ...(flags.provider !== undefined && { provider: flags.provider }),
    });
    const check = async (file: string): Promise<Line> => {
      try {
        return describe(file, await pool.inspect(await readInput(file), manifest, options));
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        return { file, verdict: 'unreadable', message: error.message };
      }
    };
    try {
      // A window of started files, written in order: memory depends on its width, not on the count.
      const window: Promise<Line>[] = [];
      for await (const file of listFiles(source)) {
        const started = check(file);
        started.catch(() => undefined); // awaited below, in order
        window.push(started);
        if (window.length >= flags.concurrency) write(await (window.shift() as Promise<Line>));
      }
      for (const pending of window) write(await pending);
    } finally {
      await pool.close();
      bar?.stop();
    }
    summarize(counts, flags.jsonl === true ? process.stderr : process.stdout);
    process.exitCode = exitStatus(counts);
  });
}

function describe(file: string, report: Report): Line {
  const { verdict, code, step, message, claims, appraisal } = report;
  return {
    file,
    verdict,
    ...(code !== undefined && { code }),
    ...(step !== undefined && { step }),
    ...(message !== undefined && { message }),
    ...(claims !== undefined && { moduleId: claims.moduleId, timestampMs: claims.timestampMs }),
    ...(verdict === 'verified' && appraisal !== undefined && { measurementSet: appraisal.label }),
  };
}

function format(line: Line, isJson: boolean): string {
  if (isJson) return JSON.stringify(line);
  const style = styleFor(process.stdout);
  const verdict = line.verdict.toUpperCase().padEnd(10);
  const details =
    line.verdict === 'verified'
      ? `${line.moduleId} ${JSON.stringify(line.measurementSet)}`
      : (line.message ?? line.verdict);
  const colour = line.verdict === 'verified' ? style.good : style.bad;
  return `${colour(verdict)} ${printable(line.file)}  ${printable(details)}`;
}

function summarize(counts: ReadonlyMap<string, number>, out: NodeJS.WritableStream): void {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  out.write(`${total} file${total === 1 ? '' : 's'}\n`);
  for (const [key, count] of [...counts].sort(([, a], [, b]) => b - a))
    out.write(`${String(count).padStart(8)} ${key}\n`);
}

function exitStatus(counts: ReadonlyMap<string, number>): number {
  const keys = new Set(counts.keys());
  keys.delete('verified');
  if (keys.size === 0) return EXIT.verified;
  keys.delete('unreadable');
  return keys.size === 0 ? EXIT.usage : EXIT.rejected;
}

/** Paths one by one: a directory's files, or the lines of a list (relative to the list). */
async function* listFiles(source: string): AsyncGenerator<string> {
  if (source !== '-' && (await kind(source)) === 'directory') {
    for await (const entry of await opendir(source))
      if (entry.isFile()) yield join(source, entry.name);
    return;
  }
  const input = source === '-' ? process.stdin : createReadStream(source);
  const base = source === '-' ? '.' : dirname(source);
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const path = text.trim();
    if (path !== '') yield isAbsolute(path) ? path : join(base, path);
  }
}

async function kind(source: string): Promise<'directory' | 'file'> {
  try {
    return (await stat(source)).isDirectory() ? 'directory' : 'file';
  } catch (error) {
    throw new UsageError(`cannot read ${source}: ${(error as NodeJS.ErrnoException).code}`);
  }
}

interface Bar {
  line(text: string): void;
  stop(): void;
}

/** A progress bar on standard error when that is a terminal; the lines go to standard output. */
async function startBar(source: string): Promise<Bar | undefined> {
  if (source !== '-') await kind(source);
  if (!process.stderr.isTTY || source === '-') return undefined;
  let total = 0;
  for await (const _ of listFiles(source)) total++;
  const bar = new SingleBar({
    format: '{bar} {percentage}% | {value}/{total} | {eta_formatted} left',
    clearOnComplete: true,
    hideCursor: true,
  });
  bar.start(total, 0);
  return {
    line(text) {
      // Both streams are usually the same terminal: clear the bar's line before writing over it.
      if (process.stdout.isTTY) process.stderr.write('\r\u001b[K');
      process.stdout.write(`${text}\n`);
      bar.increment();
    },
    stop: () => bar.stop(),
  };
}

function parseConcurrency(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 1024)
    throw new InvalidArgumentError('Expected a whole number of 1 to 1024.');
  return value;
}
