import { ToolError } from '../common/tool-error.js';
import { decodeUefiData } from '../image/signing/uefi-variable-store.js';
import { type AmiProgress, ProgressReport } from './ami-progress.js';
import { type AwsClients, type AwsOptions, openAwsClients } from './aws-clients.js';
import { toToolError } from './aws-errors.js';
import { ImageBlocks } from './image-blocks.js';
import { openUploadState } from './open-upload-state.js';
import { checkImageDigest, readManifest } from './read-manifest.js';
import {
  type AmiArchitecture,
  findImageByName,
  nameTaken,
  registerImage,
  waitForImage,
} from './register-image.js';
import { completeSnapshot, startSnapshot, type WaitOptions, waitForSnapshot } from './snapshot.js';
import { lockState } from './state-lock.js';
import { type AmiTag, awsTags, nameFault, tagFault } from './tags.js';
import { uploadBlocks } from './upload-blocks.js';
import type { UploadState } from './upload-state.js';
import { withWhatIsLeft } from './what-is-left.js';

/** What an AMI is to be made of, and how. */
export interface CreateAmiOptions extends AwsOptions {
  /** Path of the raw disk image. */
  readonly image: string;
  /** Of the AMI: 3 to 128 characters, once in the account and region. */
  readonly name: string;
  /** Default `x86_64`. */
  readonly architecture?: AmiArchitecture;
  /** UEFI variables: base64 text as `uefi_data.aws` holds it. */
  readonly uefiData?: string | undefined;
  /** Path of the reference manifest; its hash becomes a tag. */
  readonly manifest?: string | undefined;
  readonly tags?: readonly AmiTag[];
  /** Where the upload's state is kept until it is done. */
  readonly stateFile: string;
  /**
   * Send all blocks of zeros. Without it only those of verity and EFI system partitions are: others
   * read back as noise from an encrypted volume.
   */
  readonly sendZeros?: boolean;
  /** Go on with the upload of the state file, if there is one. */
  readonly resume?: boolean;
  /** Blocks under way at once; default 64. */
  readonly concurrency?: number;
  /** Stops it; the state file then says how to go on. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: AmiProgress) => void;
  /** How long to wait for AWS at the end; default one hour. */
  readonly timeoutMs?: number;
  /** First pause between two questions to AWS; default 500. */
  readonly pollMs?: number;
}

/** What was made. */
export interface CreatedAmi {
  readonly imageId: string;
  readonly snapshotId: string;
  readonly name: string;
  readonly region: string;
  readonly manifestSha256: string | undefined;
  /** Blocks of the snapshot; the others of the image are zeros. */
  readonly blocks: number;
  /** Blocks that are all zeros, and whether a partition table said which are content. */
  readonly zeroBlocks: {
    readonly sent: number;
    readonly leftOut: number;
    readonly chosenBy: 'partition-table' | 'send-zeros' | 'no-partition-table';
  };
  /** Base64 SHA-256 over the digests of these blocks (LINEAR), as AWS checked it. */
  readonly checksum: string;
  /** Of these, sent in this run. */
  readonly sentBlocks: number;
  readonly retries: number;
}

const DEFAULT_CONCURRENCY = 64;

/**
 * Uploads a raw disk image as EBS snapshot and registers it as attestable AMI. Throws `ami.*`,
 * `uefi-data.*`, `manifest.*`, `file.*`, `usage.option-invalid`; the hint says what is left in the account.
 */
export async function createAmi(options: CreateAmiOptions): Promise<CreatedAmi> {
  const { concurrency = DEFAULT_CONCURRENCY, signal = new AbortController().signal } = options;
  const progress = new ProgressReport(options.onProgress);
  // AWS would say so only after the upload.
  const fault = nameFault(options.name) ?? tagFault(options.tags ?? []);
  if (fault !== undefined) throw new ToolError('usage.option-invalid', { hint: fault });
  const manifest =
    options.manifest === undefined ? undefined : await readManifest(options.manifest);
  const uefiData = checkUefiData(options.uefiData);
  const checked =
    manifest?.imageDigest === undefined
      ? undefined
      : await checkImageDigest(options.image, manifest.imageDigest, signal);
  const zeros = options.sendZeros === true ? 'all' : 'content';
  const blocks = await ImageBlocks.open(options.image, { maxHeld: concurrency, zeros });
  let clients: AwsClients | undefined;
  let state: UploadState | undefined;
  let unlock: (() => void) | undefined;
  try {
    if (checked !== undefined) blocks.checkSame(checked);
    clients = await openAwsClients({ ...options, connections: concurrency });
    const { timeoutMs, pollMs } = options;
    const wait: WaitOptions = { signal, timeoutMs, pollMs, onRetry: () => progress.retry() };
    const tags = awsTags(options.name, manifest?.sha256, options.tags ?? []);
    const taken = await findImageByName(clients, options.name, wait);
    unlock = lockState(options.stateFile);
    state = openUploadState({ resume: false, ...options, zeros, tags }, blocks, clients);
    if (taken !== undefined && !taken.snapshotIds.includes(state.snapshotId ?? 'none'))
      throw nameTaken(options.name, taken.imageId);

    const resumed = state.snapshotId !== undefined;
    state.asked = true;
    const snapshotId = state.snapshotId ?? (await startSnapshot(clients, state.header.start, wait));
    if (!resumed) state.started(snapshotId);
    progress.upload(snapshotId, blocks.allocatedBytes);
    // Also after completion: what was uploaded is compared with the image once more.
    const uploaded = await uploadBlocks({
      ...{ ebs: clients.ebs, snapshotId, blocks, state, concurrency, signal },
      onBlock: (how) => progress.block(how),
      onRetry: () => progress.retry(),
    });
    await blocks.checkUnchanged();
    if (!state.complete) {
      progress.say('completing');
      await completeSnapshot(clients, snapshotId, uploaded, { ...wait, resumed });
      state.completed();
    }
    progress.say('waiting');
    await waitForSnapshot(clients, snapshotId, wait);
    progress.say('registering');
    const imageId =
      taken?.imageId ??
      (await registerImage(
        clients,
        {
          name: options.name,
          description: state.header.start.Description,
          architecture: options.architecture ?? 'x86_64',
          snapshotId,
          uefiData,
          tags,
        },
        wait,
      ));
    await waitForImage(clients, imageId, wait);
    state.remove();
    return {
      ...{ imageId, snapshotId, name: options.name, region: clients.region },
      manifestSha256: manifest?.sha256,
      ...{ blocks: uploaded.changedBlocks, checksum: uploaded.checksum },
      zeroBlocks: {
        sent: uploaded.zeroBlocksSent,
        leftOut: uploaded.zeroBlocksLeftOut,
        chosenBy:
          zeros === 'all'
            ? 'send-zeros'
            : blocks.hasTable
              ? 'partition-table'
              : 'no-partition-table',
      },
      ...{ sentBlocks: progress.sentBlocks, retries: progress.retries },
    };
  } catch (error) {
    throw await withWhatIsLeft(toToolError(error, 'making the AMI'), clients, state);
  } finally {
    state?.close();
    unlock?.();
    clients?.close();
    await blocks.close();
  }
}

/** Checks form and checksum; a store of EC2's own can be checked up to its compressed part. */
function checkUefiData(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    decodeUefiData(text);
  } catch (error) {
    if (!(error instanceof ToolError) || error.code !== 'uefi-data.dictionary-needed') throw error;
  }
  return text.trim();
}
