import { open } from 'node:fs/promises';
import { type FileSource, withFiles } from '../../common/file-source.js';
import { makeEsp } from '../disk/make-esp.js';
import { readAt } from '../disk/read-at.js';
import { readEsp } from '../disk/read-esp.js';
import { writeAll } from '../disk/write-all.js';
import { withRootHash } from './command-line-text.js';
import { writing } from './output-folder.js';
import { type UkiPlan, writeUki } from './write-uki.js';

/** What an EFI system partition is made of while the root hash is not known yet. */
export interface BootPlan extends Pick<UkiPlan, 'stub' | 'machine' | 'osRelease'> {
  readonly kernel: string;
  readonly initrds: readonly string[];
  /** Words of the command line, without the root hash. */
  readonly words: string;
  readonly mount: 'root' | 'usr';
  readonly architecture: Parameters<typeof makeEsp>[0]['architecture'];
  readonly sizeBytes: number;
  readonly volumeId: string;
  /** Paths of the files to be written. */
  readonly uki: string;
  readonly esp: string;
}

/** Where the root hash belongs, in bytes. */
export interface RootHashPlaces {
  readonly inUki: number;
  readonly inEsp: number;
}

/** As long as a root hash. */
const PLACEHOLDER = '0'.repeat(64);

/**
 * Makes the UKI and the EFI system partition while the file system is still being made: with zeros
 * in place of the root hash, which has a fixed length. Says where it has to go.
 *
 * Throws the codes of `withRootHash`, `writeUki` and `makeEsp`.
 */
export async function makeBootPartition(plan: BootPlan): Promise<RootHashPlaces> {
  const commandLine = withRootHash(plan.words, plan.mount, PLACEHOLDER);
  const { commandLineOffset } = await withFiles(
    [plan.kernel, ...plan.initrds],
    ([kernel, ...initrds]) =>
      writeUki({ ...plan, kernel: kernel as FileSource, initrds, commandLine, output: plan.uki }),
  );
  await makeEsp({ ...plan, output: plan.esp });
  const inUki = commandLineOffset + commandLine.length - PLACEHOLDER.length;
  return { inUki, inEsp: await findInEsp(plan.esp, inUki) };
}

/** Writes the root hash into the UKI. Throws `file.unwritable`. */
export async function fillRootHash(
  uki: string,
  places: RootHashPlaces,
  rootHash: string,
): Promise<void> {
  await writing(uki, async () => {
    const file = await open(uki, 'r+');
    await writeAll(file, Buffer.from(rootHash), places.inUki).finally(() => file.close());
  });
}

/** Where a place of the one file of a system partition stands in the partition. */
async function findInEsp(esp: string, place: number): Promise<number> {
  return withFiles([esp], async ([source]) => {
    const image = source as FileSource;
    const { files } = await readEsp(image, 0, image.size);
    const offset = files[0]?.offsetOf(place) ?? Number.NaN;
    const bytes = await readAt(image, offset, PLACEHOLDER.length, 'the UKI', 'esp.malformed');
    if (Buffer.from(bytes).toString() !== PLACEHOLDER) throw new TypeError('the UKI is in pieces');
    return offset;
  });
}
