import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { AttestationError, type Report } from '../../src/index.js';
import { createVerifierPool } from '../index.js';
import { listFiles } from './batch-files.js';
import { EXIT, UsageError } from './exit.js';
import { startProgressBar } from './progress-bar.js';
import { oneStandardInput, readInput } from './read-input.js';
import { printable, printableJson, styleFor } from './style.js';
import {
  addVerifyOptions,
  demandManifest,
  toVerifyOptions,
  type VerifyFlags,
} from './verify-options.js';

interface Flags extends VerifyFlags {
  readonly jsonl?: true;
  readonly concurrency: number;
}

/** One line of the audit. */
interface Line {
  readonly file: string;
  /** `failed`: the verification itself broke; nothing is known about the evidence. */
  readonly verdict: Report['verdict'] | 'unreadable' | 'failed';
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
    const manifestPath = demandManifest(flags);
    oneStandardInput(source, manifestPath, ...(flags.trustAnchor ?? []), flags.manifestKeys);
    const options = await toVerifyOptions(flags);
    const manifest = await readInput(manifestPath);
    const counts = new Map<string, number>();
    const bar = await startProgressBar(source);
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
        if (error instanceof TypeError) throw error; // the options are wrong, for every file
        const { message } = error as Error;
        const code = error instanceof AttestationError ? error.code : undefined;
        const verdict = error instanceof UsageError ? 'unreadable' : 'failed';
        return { file, verdict, ...(code !== undefined && { code }), message };
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
    if (counts.size === 0) throw new UsageError(`${source} names no files: nothing was verified`);
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
  if (isJson) return printableJson(line);
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

function parseConcurrency(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 1024)
    throw new InvalidArgumentError('Expected a whole number of 1 to 1024.');
  return value;
}
