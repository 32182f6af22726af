import { randomUUID } from 'node:crypto';
import { ToolError } from '../common/tool-error.js';
import type { AwsClients } from './aws-clients.js';
import type { ZerosToSend } from './content-zeros.js';
import type { ImageBlocks } from './image-blocks.js';
import { MANIFEST_TAG } from './tags.js';
import { UploadState } from './upload-state.js';
import { removalOf } from './what-is-left.js';

/** What a new upload is called and tagged, and where its state is. */
export interface NewUpload {
  readonly stateFile: string;
  readonly resume: boolean;
  readonly zeros: ZerosToSend;
  readonly name: string;
  readonly tags: readonly { readonly Key: string; readonly Value: string }[];
}

/** How long AWS keeps a snapshot whose blocks stopped coming: a day to go on. */
const SNAPSHOT_TIMEOUT_MINUTES = 1440;

/**
 * The state of this upload: a new one, or on `resume` the one of the earlier run, if there is one.
 * Throws `ami.unfinished-upload`, `ami.image-changed`, `ami.state-unusable`, `file.unwritable`.
 */
export function openUploadState(
  { stateFile, resume, zeros, name, tags }: NewUpload,
  blocks: ImageBlocks,
  { region, endpoint }: AwsClients,
): UploadState {
  const earlier = UploadState.open(stateFile);
  if (earlier === undefined)
    return UploadState.create(stateFile, {
      format: 'tee-ami-upload/1',
      image: blocks.identity,
      zeros,
      region,
      ...(endpoint !== undefined && { endpoint }),
      start: {
        VolumeSize: blocks.volumeSizeGib,
        ClientToken: randomUUID(),
        Description: `${name} (uploaded by tee-ami)`,
        Timeout: SNAPSHOT_TIMEOUT_MINUTES,
        Tags: tags,
      },
    });
  try {
    if (!resume) throw unfinished(earlier);
    checkPlace(earlier, region, endpoint);
    checkImage(earlier, blocks);
    checkZeros(earlier, zeros);
    checkManifest(earlier, tags);
    return earlier;
  } catch (error) {
    earlier.close();
    throw error;
  }
}

function unfinished({ path, snapshotId, header }: UploadState): ToolError {
  return new ToolError('ami.unfinished-upload', {
    actual: `${snapshotId ?? 'a snapshot that may have been started'}, ${path}`,
    hint: `Go on with --resume. Or ${snapshotId === undefined ? '' : `remove the snapshot with ${removalOf(snapshotId, header)}, then `}remove ${path} and start again.`,
  });
}

function checkPlace(
  { header, path }: UploadState,
  region: string,
  endpoint: string | undefined,
): void {
  const place = (where: string, url: string | undefined): string =>
    url === undefined ? where : `${where} at ${url}`;
  const [there, here] = [place(header.region, header.endpoint), place(region, endpoint)];
  if (there !== here)
    throw new ToolError('ami.state-unusable', { expected: there, actual: `${here}, in ${path}` });
}

function checkImage({ header, path, snapshotId }: UploadState, blocks: ImageBlocks): void {
  const { identity } = blocks;
  const { image } = header;
  if (image.size === identity.size && image.mtimeMs === identity.mtimeMs) return;
  const show = ({ size, mtimeMs }: typeof image): string =>
    `${size} bytes of ${new Date(mtimeMs).toISOString()}`;
  throw new ToolError('ami.image-changed', {
    expected: show(image),
    actual: `${show(identity)} in ${blocks.path}`,
    hint: `${snapshotId === undefined ? '' : `Remove the unfinished snapshot with ${removalOf(snapshotId, header)}. `}Remove ${path}, and upload the new image without --resume.`,
  });
}

/** Other blocks would be sent than the ones that were acknowledged. */
function checkZeros({ header, path }: UploadState, zeros: ZerosToSend): void {
  const show = (which: ZerosToSend): string =>
    which === 'all' ? 'an upload with --send-zeros' : 'an upload without --send-zeros';
  if (header.zeros !== zeros)
    throw new ToolError('ami.state-unusable', {
      expected: `${show(header.zeros)}, as it began`,
      actual: `${show(zeros)}, in ${path}`,
      hint: 'Resume with the options that it began with.',
    });
}

/** The snapshot is tagged with the manifest that it was begun with; the AMI must not name another. */
function checkManifest({ header, path }: UploadState, tags: NewUpload['tags']): void {
  const manifestOf = (from: NewUpload['tags']): string =>
    from.find(({ Key }) => Key === MANIFEST_TAG)?.Value ?? 'none';
  const [before, now] = [manifestOf(header.start.Tags), manifestOf(tags)];
  if (before !== now)
    throw new ToolError('ami.state-unusable', {
      expected: `manifest ${before}, as the upload began`,
      actual: `${now}, in ${path}`,
      hint: 'Resume with the manifest that it began with.',
    });
}
