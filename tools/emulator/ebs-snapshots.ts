import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes of a block (EBS direct APIs). */
export const BLOCK_BYTES = 524_288;
/** Blocks of a GiB. */
export const BLOCKS_PER_GIB = 2048;

/** A tag as AWS keeps it. */
export interface Tag {
  readonly Key: string;
  readonly Value: string;
}

/** A snapshot of the emulator. */
export interface EmulatedSnapshot {
  readonly snapshotId: string;
  readonly volumeSizeGib: number;
  readonly description: string;
  readonly startTime: Date;
  readonly parameters: string;
  readonly clientToken: string;
  readonly tags: Tag[];
  /** `pending` until it is completed and was described as pending often enough. */
  status: 'pending' | 'completed' | 'error';
  /** What CompleteSnapshot was called with; undefined: blocks can still be written. */
  sealedWith: string | undefined;
  /** How often DescribeSnapshots still says pending after completion. */
  pendingDescriptions: number;
  /** SHA-256 of each written block. */
  readonly digests: Map<number, Uint8Array>;
}

/** How to set up the store. */
export interface SnapshotStoreOptions {
  /** Keep blocks in files of this folder, one a snapshot; default: in memory. */
  readonly folder?: string;
  /** Snapshots that may be pending at once; AWS allows 100. */
  readonly maxPending?: number;
  /** How often a completed snapshot is still described as pending; default 1. */
  readonly pendingDescriptions?: number;
}

/** The snapshots of the emulator, for EBS direct and EC2 alike. */
export class SnapshotStore {
  readonly snapshots: Map<string, EmulatedSnapshot> = new Map();
  readonly maxPending: number;
  readonly #options: SnapshotStoreOptions;
  readonly #blocks: Map<string, Uint8Array> = new Map();
  readonly #files: Map<string, number> = new Map();

  constructor(options: SnapshotStoreOptions = {}) {
    this.#options = options;
    this.maxPending = options.maxPending ?? 100;
    if (options.folder !== undefined) mkdirSync(options.folder, { recursive: true });
  }

  start(
    from: Pick<
      EmulatedSnapshot,
      'volumeSizeGib' | 'description' | 'parameters' | 'clientToken' | 'tags'
    >,
  ): EmulatedSnapshot {
    const snapshot: EmulatedSnapshot = {
      ...from,
      snapshotId: `snap-0${randomBytes(8).toString('hex')}`,
      startTime: new Date(),
      status: 'pending',
      sealedWith: undefined,
      pendingDescriptions: this.#options.pendingDescriptions ?? 1,
      digests: new Map(),
    };
    this.snapshots.set(snapshot.snapshotId, snapshot);
    return snapshot;
  }

  /** Keeps a block and its SHA-256. */
  write(
    { snapshotId, digests }: EmulatedSnapshot,
    index: number,
    block: Uint8Array,
    digest: Uint8Array,
  ): void {
    digests.set(index, digest);
    if (this.#options.folder === undefined) this.#blocks.set(`${snapshotId}/${index}`, block);
    else writeSync(this.#file(snapshotId), block, 0, BLOCK_BYTES, index * BLOCK_BYTES);
  }

  /** The bytes of a block; undefined when it was never written. */
  read({ snapshotId, digests }: EmulatedSnapshot, index: number): Uint8Array | undefined {
    if (!digests.has(index)) return undefined;
    if (this.#options.folder === undefined) return this.#blocks.get(`${snapshotId}/${index}`);
    const block = Buffer.alloc(BLOCK_BYTES);
    readSync(this.#file(snapshotId), block, 0, BLOCK_BYTES, index * BLOCK_BYTES);
    return block;
  }

  /** What a volume of the snapshot would hold from its start, blocks never written as zeros. */
  contents(snapshotId: string, bytes: number): Uint8Array {
    const snapshot = this.snapshots.get(snapshotId);
    const contents = new Uint8Array(Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES);
    for (const index of snapshot?.digests.keys() ?? [])
      contents.set(
        this.read(snapshot as EmulatedSnapshot, index) as Uint8Array,
        index * BLOCK_BYTES,
      );
    return contents;
  }

  delete({ snapshotId, digests }: EmulatedSnapshot): void {
    for (const index of digests.keys()) this.#blocks.delete(`${snapshotId}/${index}`);
    const file = this.#files.get(snapshotId);
    if (file !== undefined) closeSync(file);
    this.#files.delete(snapshotId);
    if (this.#options.folder !== undefined) rmSync(this.#path(snapshotId), { force: true });
    this.snapshots.delete(snapshotId);
  }

  /** What one description says; a completed snapshot settles after some of them. */
  describe(snapshot: EmulatedSnapshot): EmulatedSnapshot['status'] {
    if (snapshot.status !== 'pending' || snapshot.sealedWith === undefined) return snapshot.status;
    if (snapshot.pendingDescriptions > 0) snapshot.pendingDescriptions--;
    else snapshot.status = 'completed';
    return snapshot.status;
  }

  #path(snapshotId: string): string {
    return join(this.#options.folder as string, `${snapshotId}.raw`);
  }

  #file(snapshotId: string): number {
    let file = this.#files.get(snapshotId);
    if (file === undefined) {
      file = openSync(this.#path(snapshotId), 'w+');
      this.#files.set(snapshotId, file);
    }
    return file;
  }
}

/** Base64 SHA-256 over the block digests in the order of their indices (LINEAR aggregation). */
export function linearChecksum(digests: ReadonlyMap<number, Uint8Array>): string {
  const hash = createHash('sha256');
  for (const index of [...digests.keys()].sort((a, b) => a - b))
    hash.update(digests.get(index) as Uint8Array);
  return hash.digest('base64');
}
