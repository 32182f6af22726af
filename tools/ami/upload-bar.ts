import { SingleBar } from 'cli-progress';
import { ProgressLine } from '../common/command-line.js';
import type { AmiProgress } from './ami-progress.js';
import { BLOCK_BYTES } from './image-blocks.js';

const WORDS: Readonly<Record<AmiProgress['doing'], string>> = {
  checking: 'looking at the image and the account',
  uploading: 'uploading',
  completing: 'completing the snapshot',
  waiting: 'waiting until AWS has the snapshot ready',
  registering: 'registering the AMI',
};
const MEGABYTE = 1_000_000;
/** The rate is that of the last seconds, so that it follows the network. */
const RATE_WINDOW_MS = 5000;

/** Shows on a terminal how far an upload is: data, rate and time left; nothing elsewhere. */
export class UploadBar {
  readonly #line = new ProgressLine();
  readonly #samples: { readonly atMs: number; readonly blocks: number }[] = [];
  #bar: SingleBar | undefined;

  show(progress: AmiProgress): void {
    if (process.stderr.isTTY !== true) return;
    if (progress.doing === 'uploading') this.#showUpload(progress);
    else {
      this.#endBar();
      this.#line.show(WORDS[progress.doing]);
    }
  }

  clear(): void {
    this.#endBar();
    this.#line.clear();
  }

  #showUpload({ sentBlocks, knownBlocks, estimatedBlocks, retries }: AmiProgress): void {
    const done = sentBlocks + knownBlocks;
    const total = Math.max(done, estimatedBlocks);
    const blocksPerSecond = this.#rate(sentBlocks);
    const fields = {
      megabytes: megabytes(done),
      ofMegabytes: megabytes(total),
      rate: megabytes(blocksPerSecond),
      left: blocksPerSecond === 0 ? 'unknown' : duration((total - done) / blocksPerSecond),
      retries: retries === 0 ? '' : `, ${retries} attempts repeated`,
    };
    if (this.#bar === undefined) {
      this.#line.clear();
      this.#bar = new SingleBar({
        format: '{bar} {megabytes} of about {ofMegabytes} MB, {rate} MB/s, {left} left{retries}',
        ...{ stream: process.stderr, fps: 5, hideCursor: true, clearOnComplete: true },
        // Ctrl-C is the upload's to handle.
        gracefulExit: false,
      });
      this.#bar.start(total, done, fields);
    }
    this.#bar.setTotal(total);
    this.#bar.update(done, fields);
  }

  #rate(blocks: number): number {
    const atMs = performance.now();
    const last = this.#samples.at(-1);
    if (last === undefined || atMs - last.atMs > 200) this.#samples.push({ atMs, blocks });
    while ((this.#samples[1]?.atMs ?? atMs) < atMs - RATE_WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    if (first === undefined || atMs - first.atMs < 100) return 0;
    return ((blocks - first.blocks) * 1000) / (atMs - first.atMs);
  }

  #endBar(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

function megabytes(blocks: number): string {
  return ((blocks * BLOCK_BYTES) / MEGABYTE).toFixed(0);
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes} min ${whole % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
