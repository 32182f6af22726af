import { BLOCK_BYTES } from './image-blocks.js';

/** Where an AMI is on its way. */
export interface AmiProgress {
  readonly doing: 'checking' | 'uploading' | 'completing' | 'waiting' | 'registering';
  readonly snapshotId?: string | undefined;
  /** Blocks sent in this run. */
  readonly sentBlocks: number;
  /** Blocks that an earlier run had sent. */
  readonly knownBlocks: number;
  /** About how many there are, from the space that the image takes on disk. */
  readonly estimatedBlocks: number;
  /** Attempts that had to be repeated. */
  readonly retries: number;
}

/** Counts, and tells whoever listens. */
export class ProgressReport {
  readonly #tell: (progress: AmiProgress) => void;
  #now: AmiProgress = {
    doing: 'checking',
    sentBlocks: 0,
    knownBlocks: 0,
    estimatedBlocks: 0,
    retries: 0,
  };

  constructor(tell: (progress: AmiProgress) => void = () => undefined) {
    this.#tell = tell;
  }

  get sentBlocks(): number {
    return this.#now.sentBlocks;
  }

  get retries(): number {
    return this.#now.retries;
  }

  say(doing: AmiProgress['doing']): void {
    this.#set({ doing });
  }

  upload(snapshotId: string, allocatedBytes: number): void {
    const estimatedBlocks = Math.ceil(allocatedBytes / BLOCK_BYTES);
    this.#set({ doing: 'uploading', snapshotId, estimatedBlocks });
  }

  block(how: 'sent' | 'known'): void {
    const { sentBlocks, knownBlocks } = this.#now;
    this.#set(how === 'sent' ? { sentBlocks: sentBlocks + 1 } : { knownBlocks: knownBlocks + 1 });
  }

  retry(): void {
    this.#set({ retries: this.#now.retries + 1 });
  }

  #set(change: Partial<AmiProgress>): void {
    this.#now = { ...this.#now, ...change };
    this.#tell(this.#now);
  }
}
