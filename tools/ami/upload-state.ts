import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { ToolError } from '../common/tool-error.js';
import type { ZerosToSend } from './content-zeros.js';
import { BLOCK_BYTES, type ImageIdentity } from './image-blocks.js';

/** What StartSnapshot was asked for; the same token must come with the same parameters. */
export interface StartParameters {
  readonly VolumeSize: number;
  readonly ClientToken: string;
  readonly Description: string;
  readonly Timeout: number;
  readonly Tags: readonly { readonly Key: string; readonly Value: string }[];
}

/** The first line of a state file. */
export interface UploadHeader {
  readonly format: 'tee-ami-upload/1';
  readonly image: ImageIdentity;
  readonly zeros: ZerosToSend;
  readonly region: string;
  readonly endpoint?: string;
  readonly start: StartParameters;
}

const DIGEST_BYTES = 32;
const BLOCK_LINE = /^b (\d{1,9}) ([A-Za-z0-9+/]{43}=)$/;
const SNAPSHOT_LINE = /^snapshot (snap-[0-9a-f]{8,40})$/;
const DIGESTS_A_PAGE = 1024;

/**
 * What is known of an upload, in a file of lines that only grows: the header, the snapshot's id,
 * each acknowledged block with its SHA-256, and that the snapshot is complete. A line counts when
 * it is whole: whatever ends the process, what was acknowledged before is known afterwards.
 */
export class UploadState {
  readonly path: string;
  readonly header: UploadHeader;
  readonly acknowledged: BlockDigests;
  /** Whether a snapshot may have been started with this state. */
  asked = false;
  #snapshotId: string | undefined;
  #complete: boolean;
  #file: number;

  private constructor(path: string, file: number, from: ParsedState) {
    this.path = path;
    this.#file = file;
    this.header = from.header;
    this.acknowledged = from.acknowledged;
    this.#snapshotId = from.snapshotId;
    this.#complete = from.complete;
    this.asked = from.bytes > 0;
  }

  get snapshotId(): string | undefined {
    return this.#snapshotId;
  }

  get complete(): boolean {
    return this.#complete;
  }

  /** Begins a new file. Throws `ami.unfinished-upload` when there is one, `file.unwritable`. */
  static create(path: string, header: UploadHeader): UploadState {
    try {
      const state = new UploadState(path, openSync(path, 'wx'), {
        header,
        acknowledged: new BlockDigests(),
        snapshotId: undefined,
        complete: false,
        bytes: 0,
      });
      state.#append(JSON.stringify(header));
      return state;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST')
        throw new ToolError('ami.unfinished-upload', { actual: path, cause });
      throw unwritable(path, cause);
    }
  }

  /**
   * Reads a file to go on with it; undefined when there is none. Throws `ami.state-unusable`,
   * `file.unwritable`.
   */
  static open(path: string): UploadState | undefined {
    let file: number;
    try {
      // Removing a link at the end would leave the file it leads to.
      file = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw unwritable(path, cause);
    }
    try {
      if (!fstatSync(file).isFile()) throw unusable(path, 'a file', 'something else');
      const from = parseState(readLines(file), path);
      // A line that was cut when the process ended would spoil the next one.
      ftruncateSync(file, from.bytes);
      const append = constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW;
      return new UploadState(path, openSync(path, append), from);
    } catch (cause) {
      throw cause instanceof ToolError ? cause : unwritable(path, cause);
    } finally {
      closeSync(file);
    }
  }

  started(snapshotId: string): void {
    this.#append(`snapshot ${snapshotId}`);
    this.#snapshotId = snapshotId;
  }

  /** The digest is remembered in the file alone: an upload of any size keeps its memory. */
  acknowledge(index: number, digest: Uint8Array): void {
    this.#append(`b ${index} ${Buffer.from(digest).toString('base64')}`);
  }

  completed(): void {
    this.#append('complete');
    this.#complete = true;
  }

  close(): void {
    if (this.#file < 0) return;
    fsyncSync(this.#file);
    closeSync(this.#file);
    this.#file = -1;
  }

  /** Everything is done: the file is not needed any more. */
  remove(): void {
    this.close();
    try {
      unlinkSync(this.path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw unwritable(this.path, cause);
    }
  }

  #append(line: string): void {
    try {
      writeSync(this.#file, `${line}\n`);
    } catch (cause) {
      throw unwritable(this.path, cause);
    }
  }
}

/** SHA-256 digests by block index, 32 bytes each. */
export class BlockDigests {
  readonly #pages: Map<number, { readonly bytes: Uint8Array; readonly has: Uint8Array }> =
    new Map();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(index: number): Uint8Array | undefined {
    const page = this.#pages.get(Math.floor(index / DIGESTS_A_PAGE));
    const at = index % DIGESTS_A_PAGE;
    return page?.has[at] === 1
      ? page.bytes.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES)
      : undefined;
  }

  set(index: number, digest: Uint8Array): void {
    const key = Math.floor(index / DIGESTS_A_PAGE);
    let page = this.#pages.get(key);
    if (page === undefined) {
      page = {
        bytes: new Uint8Array(DIGESTS_A_PAGE * DIGEST_BYTES),
        has: new Uint8Array(DIGESTS_A_PAGE),
      };
      this.#pages.set(key, page);
    }
    const at = index % DIGESTS_A_PAGE;
    if (page.has[at] === 0) this.#size++;
    page.has[at] = 1;
    page.bytes.set(digest, at * DIGEST_BYTES);
  }
}

interface ParsedState {
  readonly header: UploadHeader;
  readonly acknowledged: BlockDigests;
  readonly snapshotId: string | undefined;
  readonly complete: boolean;
  /** How much of the file was understood. */
  readonly bytes: number;
}

/** Whole lines; the file of a large image is not read into memory at once. */
function* readLines(file: number): Generator<string> {
  const piece = Buffer.alloc(65_536);
  let rest = '';
  for (let read = readSync(file, piece); read > 0; read = readSync(file, piece)) {
    const lines = (rest + piece.toString('latin1', 0, read)).split('\n');
    rest = lines.pop() as string;
    yield* lines;
  }
}

function parseState(lines: Iterable<string>, path: string): ParsedState {
  const acknowledged = new BlockDigests();
  let header: UploadHeader | undefined;
  let snapshotId: string | undefined;
  let complete = false;
  let bytes = 0;
  for (const line of lines) {
    const block = BLOCK_LINE.exec(line);
    const snapshot = SNAPSHOT_LINE.exec(line);
    if (header === undefined) header = parseHeader(line, path);
    else if (block !== null && Number(block[1]) * BLOCK_BYTES < header.image.size)
      acknowledged.set(Number(block[1]), Buffer.from(block[2] as string, 'base64'));
    else if (snapshot !== null) snapshotId = snapshot[1];
    else if (line === 'complete') complete = true;
    else break;
    bytes += line.length + 1;
  }
  if (header === undefined) throw unusable(path, 'a state file of tee-ami', 'something else');
  return { header, acknowledged, snapshotId, complete, bytes };
}

function parseHeader(line: string, path: string): UploadHeader {
  try {
    const header = JSON.parse(line) as UploadHeader;
    const { format, image, zeros, region, endpoint, start } = header;
    const isText = (value: unknown): boolean => typeof value === 'string';
    if (
      format === 'tee-ami-upload/1' &&
      [image.size, image.mtimeMs, start.VolumeSize, start.Timeout].every(Number.isFinite) &&
      [region, endpoint ?? '', start.ClientToken, start.Description].every(isText) &&
      (zeros === 'content' || zeros === 'all') &&
      start.Tags.every(({ Key, Value }) => isText(Key) && isText(Value))
    )
      return header;
  } catch {
    // Not JSON, or not all of it: the same answer.
  }
  throw unusable(path, 'a state file of tee-ami', 'something else');
}

function unusable(path: string, expected: string, actual: string): ToolError {
  return new ToolError('ami.state-unusable', { expected, actual: `${actual} in ${path}` });
}

function unwritable(path: string, cause: unknown): ToolError {
  const { code = 'an error' } = cause as NodeJS.ErrnoException;
  return new ToolError('file.unwritable', {
    actual: `${code} at ${path}`,
    hint: 'The state file stands beside the image; name another place with --state.',
    cause,
  });
}
