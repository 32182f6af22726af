import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import {
  combineCrc32,
  EIF,
  EIF_MAX_SECTION_BYTES,
  EIF_SECTION_TYPES,
  type EifArchitecture,
  type EifSectionType,
} from 'tee-verify/measure';
import { ToolError } from '../common/tool-error.js';
import { writing } from './file-errors.js';
import { nodeCrc32 } from './node-crc32.js';
import { joinSmall, type Pieces } from './read-pieces.js';

/** What the header says besides the sections. */
export interface EifHeaderFields {
  readonly architecture: EifArchitecture;
  readonly defaultMemoryBytes: number;
  readonly defaultCpus: number;
}

const NUMBERS = Object.fromEntries(
  Object.entries(EIF_SECTION_TYPES).map(([number, type]) => [type, Number(number)]),
) as Record<EifSectionType, number>;

/**
 * Writes an EIF section by section in one pass; the header comes last, so that sizes need not be
 * known before. The file appears under its name only when it is whole.
 */
export class EifFileWriter {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  readonly #offsets: number[] = [];
  readonly #sizes: number[] = [];
  #end: number = EIF.headerBytes;
  #crc = 0;

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  /** Starts a file beside its final place. Throws `file.unwritable`. */
  static async create(path: string): Promise<EifFileWriter> {
    const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
    const file = await writing(path, () => open(temporary, 'wx', 0o644));
    return new EifFileWriter(path, temporary, file);
  }

  /** Writes one section. `onBlock` sees every block while it is written. Throws `build.*`, `file.*`. */
  async section(
    type: EifSectionType,
    pieces: Pieces,
    onBlock: (block: Uint8Array) => void = () => undefined,
  ): Promise<void> {
    if (this.#offsets.length === EIF.maxSections)
      throw new ToolError('build.too-many-sections', {
        expected: `at most ${EIF.maxSections} sections`,
        actual: 'more',
      });
    const start = this.#end;
    const dataOffset = start + EIF.sectionHeaderBytes;
    let at = dataOffset;
    let crc = 0;
    let pending: Promise<unknown> | undefined;
    for (const block of joinSmall(pieces)) {
      // The block before is written while this one is read; now they change places.
      await pending;
      pending = this.#write(block, at);
      pending.catch(() => undefined); // awaited above or below
      crc = nodeCrc32(block, crc);
      onBlock(block);
      at += block.length;
    }
    await pending;
    const size = at - dataOffset;
    const max = EIF_MAX_SECTION_BYTES[type];
    if (max !== undefined && size > max)
      throw new ToolError('build.section-too-large', {
        expected: `${type} of at most ${max} bytes`,
        actual: `${size}`,
      });
    const header = sectionHeader(NUMBERS[type], size);
    await this.#write(header, start);
    this.#crc = nodeCrc32(header, this.#crc);
    this.#crc = combineCrc32(this.#crc, crc, size);
    this.#offsets.push(start);
    this.#sizes.push(size);
    this.#end = at;
  }

  /** Writes the header and gives the file its name. Throws `file.unwritable`. */
  async finish(fields: EifHeaderFields): Promise<void> {
    const header = this.#header(fields);
    const headCrc = nodeCrc32(header.subarray(0, EIF.crcOffset), 0);
    const crc = combineCrc32(headCrc, this.#crc, this.#end - EIF.headerBytes);
    header.writeUInt32BE(crc, EIF.crcOffset);
    await writing(this.#path, async () => {
      await this.#write(header, 0);
      await this.#file.close();
      await rename(this.#temporary, this.#path);
    });
  }

  /** Removes what was written so far; harmless after `finish`. */
  async discard(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await rm(this.#temporary, { force: true }).catch(() => undefined);
  }

  /** All of it: one call may write less. */
  #write(bytes: Uint8Array, position: number): Promise<void> {
    return writing(this.#path, async () => {
      for (let done = 0; done < bytes.length; ) {
        const left = bytes.length - done;
        done += (await this.#file.write(bytes, done, left, position + done)).bytesWritten;
      }
    });
  }

  #header({ architecture, defaultMemoryBytes, defaultCpus }: EifHeaderFields): Buffer {
    const header = Buffer.alloc(EIF.headerBytes);
    header.writeUInt32BE(EIF.magic, 0);
    header.writeUInt16BE(EIF.version, 4);
    header.writeUInt16BE(architecture === 'aarch64' ? EIF.flagAarch64 : 0, 6);
    header.writeBigUInt64BE(BigInt(defaultMemoryBytes), 8);
    header.writeBigUInt64BE(BigInt(defaultCpus), 16);
    header.writeUInt16BE(this.#offsets.length, 26);
    for (const [i, offset] of this.#offsets.entries()) {
      header.writeBigUInt64BE(BigInt(offset), 28 + 8 * i);
      header.writeBigUInt64BE(BigInt(this.#sizes[i] as number), 284 + 8 * i);
    }
    return header;
  }
}

function sectionHeader(type: number, size: number): Buffer {
  const header = Buffer.alloc(EIF.sectionHeaderBytes);
  header.writeUInt16BE(type, 0);
  header.writeBigUInt64BE(BigInt(size), 4);
  return header;
}
