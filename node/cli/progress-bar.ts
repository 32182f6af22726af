import { SingleBar } from 'cli-progress';
import { isCountable, listFiles } from './batch-files.js';

/** A bar on standard error, and lines on standard output above it. */
export interface ProgressBar {
  line(text: string): void;
  stop(): void;
}

/** A bar when standard error is a terminal and the files can be counted beforehand. */
export async function startProgressBar(source: string): Promise<ProgressBar | undefined> {
  if (!process.stderr.isTTY || !(await isCountable(source))) return undefined;
  let total = 0;
  for await (const _ of listFiles(source)) total++;
  const bar = new SingleBar({
    format: '{bar} {percentage}% | {value}/{total} | {eta_formatted} left',
    clearOnComplete: true,
    hideCursor: true,
    gracefulExit: true, // gives the cursor back on Ctrl-C
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
