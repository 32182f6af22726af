import { open, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { ToolError } from '../../common/tool-error.js';
import { requireTools, runTool } from '../build/host-tools.js';
import { writing } from '../build/output-folder.js';
import { ARCHITECTURES, type ImageArchitecture } from './architecture.js';

/** What an EFI system partition is made of. */
export interface EspPlan {
  /** Path of the UKI. */
  readonly uki: string;
  /** Path of the file system image to be written. */
  readonly output: string;
  readonly architecture: ImageArchitecture;
  readonly sizeBytes: number;
  /** 8 hex digits. */
  readonly volumeId: string;
}

/** FAT32 begins at this many clusters (Microsoft FAT specification, "FAT Type Determination"). */
const MIN_CLUSTERS = 65_525;
const CLUSTER_BYTES = 512;
/** Boot sector, FSInfo, their backups: what mkfs.vfat reserves. */
const RESERVED_BYTES = 32 * 512;
/** Root, EFI, BOOT: a cluster each. */
const FOLDERS = 3;
/** The smallest size for which mkfs.vfat makes FAT32 of 512-byte clusters, rounded up. */
export const MIN_ESP_BYTES: number = 34 * 1024 * 1024;
/** FAT's own limit for files, and more than any instance boots from. */
export const MAX_ESP_BYTES: number = 4 * 1024 * 1024 * 1024;

/**
 * Writes a FAT32 file system with exactly one file, where firmware looks for what to boot. The same
 * plan gives the same bytes. Throws `usage.option-invalid`, `esp.too-small`, `host.*`,
 * `file.unreadable`, `file.unwritable`.
 */
export async function makeEsp(plan: EspPlan): Promise<void> {
  requireTools(['mkfs.vfat', 'mmd', 'mcopy']);
  checkSize(plan.sizeBytes);
  checkFits(await fileSize(plan.uki), plan.sizeBytes);
  await writing(plan.output, async () => {
    const file = await open(plan.output, 'w', 0o644);
    await file.truncate(plan.sizeBytes).finally(() => file.close());
  });
  await runTool('mkfs.vfat', [
    ...['--invariant', '-i', plan.volumeId, '-n', 'ESP', '-F', '32', '-S', '512'],
    ...['-s', `${CLUSTER_BYTES / 512}`, '-f', '2', '-R', `${RESERVED_BYTES / 512}`, plan.output],
  ]);
  const { bootPath } = ARCHITECTURES[plan.architecture];
  // mtools takes `@@` in the name of an image for an offset: only the last part of the path is said.
  const options = { env: { MTOOLS_SKIP_CHECK: '1' }, cwd: dirname(resolve(plan.output)) };
  const image = ['-i', basename(plan.output)];
  const folders = ['::/EFI', '::/EFI/BOOT'];
  await runTool('mmd', [...image, ...folders], options);
  await runTool('mcopy', [...image, resolve(plan.uki), `::/${bootPath}`], options);
}

/** How large a UKI fits into an EFI system partition, in bytes. */
export function espRoom(espBytes: number): number {
  // Two FATs of four bytes for each cluster, in whole sectors; two numbers belong to no cluster.
  const clusters = Math.floor((espBytes - RESERVED_BYTES - 1024) / (CLUSTER_BYTES + 8)) - 2;
  return (clusters - FOLDERS) * CLUSTER_BYTES;
}

/** Whether a UKI of this size fits. Throws `esp.too-small`. */
export function checkFits(ukiBytes: number, espBytes: number): void {
  const room = espRoom(espBytes);
  if (ukiBytes > room)
    throw new ToolError('esp.too-small', {
      expected: `a UKI of at most ${room} bytes in ${espBytes} bytes`,
      actual: `${ukiBytes} bytes`,
    });
}

/** Whether a size can be an EFI system partition's. Throws `usage.option-invalid`. */
export function checkSize(sizeBytes: number): void {
  const inRange = sizeBytes >= MIN_ESP_BYTES && sizeBytes <= MAX_ESP_BYTES;
  if (!inRange || sizeBytes % (1024 * 1024) !== 0)
    throw new ToolError('usage.option-invalid', {
      expected: `whole MiB for the EFI system partition, ${MIN_ESP_BYTES} to ${MAX_ESP_BYTES} bytes (FAT32 of at least ${MIN_CLUSTERS} clusters)`,
      actual: `${sizeBytes}`,
    });
}

async function fileSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    throw new ToolError('file.unreadable', { actual: path, cause });
  }
}
