import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type EifMeasurement, measureEif } from 'tee-verify/measure';
import type { FileSource } from '../common/file-source.js';
import { ToolError } from '../common/tool-error.js';
import { writing } from './file-errors.js';
import { NODE_MEASURING } from './inspect-file.js';
import { readPieces } from './read-pieces.js';
import { unpackRamdisk } from './unpack-ramdisk.js';

/** What to extract. */
export interface ExtractOptions {
  /** Also unpack the ramdisks, each into a folder beside it. */
  readonly unpack?: boolean;
  /** What each ramdisk may unpack to. Default 8 GiB. */
  readonly maxBytes?: number;
}

/** What was extracted. */
export interface ExtractedEif {
  /** Names inside the folder. */
  readonly files: readonly string[];
  /** Devices, sockets and pipes of ramdisks, which are not made. */
  readonly skipped: readonly string[];
}

const DEFAULT_MAX_BYTES = 8 * 1024 ** 3;

/**
 * Writes the sections of an image into a folder, which must not exist or be empty: kernel, cmdline,
 * metadata.json, ramdisk-1, ramdisk-2, …, signature.cbor and certificate.pem. The folder appears
 * when all of it is there. Throws `eif.*` for an image that is not whole, `ramdisk.*`, `file.*`.
 */
export async function extractEif(
  source: FileSource,
  target: string,
  { unpack = false, maxBytes = DEFAULT_MAX_BYTES }: ExtractOptions = {},
): Promise<ExtractedEif> {
  const image = await measureEif(source, NODE_MEASURING);
  await demandFree(target);
  const folder = `${target.replace(/\/+$/, '')}.${randomBytes(6).toString('hex')}.tmp`;
  const files: string[] = [];
  const skipped: string[] = [];
  try {
    await writing(folder, () => mkdir(folder));
    for (const [name, part] of parts(image)) {
      const pieces = readPieces({ path: source.path, ...part });
      const out = createWriteStream(join(folder, name), { flags: 'wx' });
      // Copied: a piece is only valid until the next one.
      const copies = Readable.from(copyAll(pieces), { objectMode: false });
      await writing(join(target, name), () => pipeline(copies, out));
      files.push(name);
      if (!unpack || !name.startsWith('ramdisk-')) continue;
      const unpacked = await unpackRamdisk(
        { path: join(folder, name), sizeBytes: part.sizeBytes },
        join(folder, `${name}.d`),
        maxBytes,
      );
      files.push(`${name}.d`);
      skipped.push(...unpacked.skipped.map((path) => `${name}: ${path}`));
    }
    if (image.signature !== undefined) {
      const { certificatePem } = image.signature;
      await writing(target, () => writeFile(join(folder, 'certificate.pem'), certificatePem));
      files.push('certificate.pem');
    }
    await writing(target, () => rename(folder, target));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { files, skipped };
}

function parts({
  sections,
}: EifMeasurement): (readonly [name: string, part: { offset: number; sizeBytes: number }])[] {
  let ramdisks = 0;
  const names = { kernel: 'kernel', cmdline: 'cmdline', metadata: 'metadata.json' } as const;
  return sections.map(({ type, dataOffset, sizeBytes }) => {
    const part = { offset: dataOffset, sizeBytes };
    if (type === 'ramdisk') return [`ramdisk-${++ramdisks}`, part] as const;
    return [type === 'signature' ? 'signature.cbor' : names[type], part] as const;
  });
}

async function demandFree(target: string): Promise<void> {
  const present = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new ToolError('file.unwritable', { actual: `${target}: ${error.code}`, cause: error });
  });
  if (present.length > 0)
    throw new ToolError('file.unwritable', {
      expected: `${target}: a folder that does not exist or is empty`,
      actual: 'one with files',
    });
}

function* copyAll(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const piece of pieces) yield piece.slice();
}
