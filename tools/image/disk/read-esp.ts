import type { ByteSource } from 'tee-verify/measure';
import { checkFatSurroundings } from './check-fat-surroundings.js';
import { type FatEntry, readDirectory } from './fat-directory.js';
import { type FatGeometry, FatTable, must, readGeometry } from './fat-table.js';
import { windowOf } from './read-at.js';

/** A file of an EFI system partition. */
export interface EspFile {
  /** Below the root, with slashes, e.g. `EFI/BOOT/BOOTX64.EFI`. FAT ignores the case. */
  readonly path: string;
  /** Its bytes; `source.size` of them. */
  readonly source: ByteSource;
  /** Where a byte of it stands in the partition; not a number behind its end. */
  offsetOf(place: number): number;
}

/** What an EFI system partition holds. */
export interface EspContents {
  /** 8 lower-case hex digits. */
  readonly volumeId: string;
  /** Every file, in the order of the directories. */
  readonly files: readonly EspFile[];
  /** Every folder but the root. */
  readonly folders: readonly string[];
}

const MAX_ENTRIES = 4096;
const MAX_DEPTH = 8;
const MAX_DIRECTORY_BYTES = 1024 * 1024;

/**
 * Lists every file of a FAT32 file system that stands in `source` at `offset`, strictly: two readers
 * must not see different files. Bytes are read when asked for. Throws `esp.malformed`.
 */
export async function readEsp(
  source: ByteSource,
  offset: number,
  size: number,
): Promise<EspContents> {
  must(offset >= 0 && offset + size <= source.size, 'the file system inside the image', 'its end');
  const partition = windowOf(source, offset, size);
  const geometry = await readGeometry(partition);
  await checkFatSurroundings(partition, geometry);
  const table = await FatTable.read(partition, geometry);
  const files: EspFile[] = [];
  const folders: string[] = [];
  const walk = async (clusters: readonly number[], path: string, depth: number): Promise<void> => {
    must(depth <= MAX_DEPTH, `at most ${MAX_DEPTH} folders deep`, path);
    const isSmall = clusters.length * geometry.clusterBytes <= MAX_DIRECTORY_BYTES;
    must(
      isSmall,
      `/${path} of at most ${MAX_DIRECTORY_BYTES} bytes`,
      `${clusters.length} clusters`,
    );
    const whole = clusterSource(partition, geometry, clusters);
    for (const entry of readDirectory(await whole.read(0, whole.size), path)) {
      const below = path === '' ? entry.name : `${path}/${entry.name}`;
      must(files.length + folders.length < MAX_ENTRIES, `at most ${MAX_ENTRIES} files`, 'more');
      if (entry.isDirectory) {
        must(entry.sizeBytes === 0, `${below}: a folder with size 0`, `${entry.sizeBytes}`);
        folders.push(below);
        await walk(table.chain(entry.firstCluster, below), below, depth + 1);
      } else {
        files.push({ path: below, ...fileOf(partition, geometry, table, entry, below) });
      }
    }
  };
  await walk(table.chain(geometry.rootCluster, 'the root'), '', 0);
  table.checkNothingLost();
  return { volumeId: geometry.volumeId, files, folders };
}

function fileOf(
  partition: ByteSource,
  geometry: FatGeometry,
  table: FatTable,
  { firstCluster, sizeBytes }: FatEntry,
  path: string,
): Pick<EspFile, 'source' | 'offsetOf'> {
  const { clusterBytes } = geometry;
  const isEmpty = sizeBytes === 0;
  if (isEmpty) must(firstCluster === 0, `${path}: no cluster for no bytes`, `${firstCluster}`);
  const clusters = isEmpty ? [] : table.chain(firstCluster, path);
  const needed = Math.ceil(sizeBytes / clusterBytes);
  must(clusters.length === needed, `${path} in ${needed} clusters`, `${clusters.length}`);
  return {
    source: windowOf(clusterSource(partition, geometry, clusters), 0, sizeBytes),
    offsetOf: (place) => {
      const cluster = clusters[Math.floor(place / clusterBytes)] ?? Number.NaN;
      return clusterOffset(geometry, cluster) + (place % clusterBytes);
    },
  };
}

const clusterOffset = ({ clusterBytes, dataOffset }: FatGeometry, cluster: number): number =>
  dataOffset + (cluster - 2) * clusterBytes;

/** Clusters in order as one source; neighbours are read together. */
function clusterSource(
  partition: ByteSource,
  geometry: FatGeometry,
  clusters: readonly number[],
): ByteSource {
  const { clusterBytes } = geometry;
  return {
    size: clusters.length * clusterBytes,
    async read(offset, length) {
      const end = Math.min(offset + length, clusters.length * clusterBytes);
      const bytes = new Uint8Array(Math.max(0, end - offset));
      for (let at = offset; at < end; ) {
        const first = Math.floor(at / clusterBytes);
        const from = clusters[first] as number;
        let count = 1;
        while (clusters[first + count] === from + count && (first + count) * clusterBytes < end)
          count++;
        const inside = at - first * clusterBytes;
        const take = Math.min(count * clusterBytes - inside, end - at);
        const part = await partition.read(clusterOffset(geometry, from) + inside, take);
        must(part.length === take, `${take} bytes of a file`, `${part.length}`);
        bytes.set(part, at - offset);
        at += take;
      }
      return bytes;
    },
  };
}
