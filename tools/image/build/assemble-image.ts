import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ARCHITECTURES, type ImageArchitecture } from '../disk/architecture.js';
import { encodeGpt } from '../disk/gpt.js';
import { derivedUuid } from '../disk/guid.js';
import type { PartitionDescription } from '../disk/partition-description.js';
import { fillRootHash, makeBootPartition } from './boot-partition.js';
import { formatVerity } from './format-verity.js';
import { describePartitions, gptTableOf, type ImageLayout, layoutImage } from './image-layout.js';
import { makeErofs } from './make-erofs.js';
import { RawWriter } from './raw-writer.js';
import { listingOf, type RootEntry } from './root-tree.js';

/** What an image is put together from. */
export interface ImageInputs {
  readonly kernel: string;
  readonly initrds: readonly string[];
  readonly stub: Uint8Array;
  readonly osRelease: Uint8Array;
  /** Without the root hash. */
  readonly commandLine: string;
  readonly root: Root;
  readonly architecture: ImageArchitecture;
  readonly mount: 'root' | 'usr';
  readonly espBytes: number;
  readonly onProgress: (step: string) => void;
}

/** The tree of an image. */
export interface Root {
  /** The folder that holds the files. */
  readonly folder: string;
  readonly entries: readonly RootEntry[];
}

/** Where things go. */
export interface ImagePlaces {
  /** File name of the image, for its description. */
  readonly image: string;
  /** Paths of the files to be written. */
  readonly raw: string;
  readonly uki: string;
  /** A folder for what is thrown away. */
  readonly scratch: string;
}

/**
 * Writes a raw image and its UKI. The boot partition is made while the contents are: only the root
 * hash, which has a fixed length, is filled in at the end.
 *
 * Throws `host.*`, `file.*`, `root.changed`, `stub.*`, `uki-build.*`, `esp.*`, `pe.*`.
 */
export async function assembleImage(
  inputs: ImageInputs,
  places: ImagePlaces,
): Promise<PartitionDescription> {
  const { architecture, mount, espBytes, root } = inputs;
  const { image, uki, scratch } = places;
  const esp = join(scratch, 'esp.img');
  const listing = listingOf(root.entries);
  const espVolumeId = derivedUuid('esp volume', listing).slice(0, 8);
  const [rootHashPlaces, { layout, dataBytes, rootHash }] = await bothOrNone(
    makeBootPartition({
      ...{ kernel: inputs.kernel, initrds: inputs.initrds, words: inputs.commandLine, mount },
      ...{ stub: inputs.stub, machine: ARCHITECTURES[architecture].machine, architecture },
      ...{ osRelease: inputs.osRelease, uki, esp, sizeBytes: espBytes, volumeId: espVolumeId },
    }),
    writeContents(inputs, places, listing),
  );

  await fillRootHash(uki, rootHashPlaces, rootHash);
  const identity = { image, architecture, mount, rootHash, dataBytes, espVolumeId };
  const description = describePartitions(identity, layout);
  const table = encodeGpt(gptTableOf(description));
  const raw = await RawWriter.open(places.raw);
  try {
    await raw.copy(esp, layout.esp.offsetBytes);
    await raw.write(Buffer.from(rootHash), layout.esp.offsetBytes + rootHashPlaces.inEsp);
    await raw.write(table.head, 0);
    await raw.write(table.tail, layout.sizeBytes - table.tail.length);
  } finally {
    await raw.close();
  }
  return description;
}

/** Writes the data and the hash partition; the data is copied to its place while it is hashed. */
async function writeContents(
  { root, espBytes, onProgress }: ImageInputs,
  { raw: path, scratch }: ImagePlaces,
  listing: string,
): Promise<{ layout: ImageLayout; dataBytes: number; rootHash: string }> {
  onProgress('making the file system');
  const erofs = join(scratch, 'root.erofs');
  await makeErofs({ ...root, uuid: derivedUuid('file system', listing), output: erofs });

  onProgress('making the hash tree');
  const { size: dataBytes } = await stat(erofs);
  const layout = layoutImage(espBytes, dataBytes);
  const raw = await RawWriter.create(path, layout.sizeBytes);
  try {
    const hashing = formatVerity({
      ...{ data: erofs, hashes: path, hashOffset: layout.hashes.offsetBytes },
      uuid: derivedUuid('hash tree', listing),
      salt: createHash('sha256').update(`tee-image salt\0${listing}`).digest('hex'),
    });
    const [, rootHash] = await bothOrNone(raw.copy(erofs, layout.data.offsetBytes), hashing);
    return { layout, dataBytes, rootHash };
  } finally {
    await raw.close();
  }
}

/** Both results; neither goes on in the background when the other failed. */
async function bothOrNone<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
}
