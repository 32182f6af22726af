import {
  DeleteSnapshotCommand,
  DeregisterImageCommand,
  DescribeImagesCommand,
  DescribeSnapshotsCommand,
  type Image,
  type Snapshot,
} from '@aws-sdk/client-ec2';
import { ToolError } from '../common/tool-error.js';
import { type AwsClients, type AwsOptions, openAwsClients } from './aws-clients.js';
import { awsErrorName, toToolError } from './aws-errors.js';
import { snapshotsOf } from './register-image.js';
import { isOurs } from './tags.js';
import { removalOf } from './what-is-left.js';
import { pause, withRetries } from './with-retries.js';

/** What to remove, and from where. */
export interface DeleteAmiOptions extends AwsOptions {
  /** `ami-…` with its snapshots, or `snap-…`. */
  readonly id: string;
  /** Also what tee-ami did not make. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}

/** What was removed. */
export interface DeletedResources {
  readonly imageId: string | undefined;
  readonly snapshotIds: readonly string[];
}

/** A snapshot may count as used for a while after its AMI went. */
const IN_USE_ATTEMPTS = 8;
const IN_USE_PAUSE_MS = 250;

/**
 * Removes an AMI and its snapshots, or one snapshot. Throws `ami.not-found`, `ami.not-ours`,
 * `ami.snapshot-in-use`, `ami.*`; when an AMI is gone but a snapshot is not, the hint says so.
 */
export async function deleteAmi(options: DeleteAmiOptions): Promise<DeletedResources> {
  const { id, force = false, signal = new AbortController().signal } = options;
  if (!/^(ami|snap)-[0-9a-f]{8,40}$/.test(id))
    throw new ToolError('usage.option-invalid', {
      expected: 'ami-… or snap-…',
      actual: JSON.stringify(id.slice(0, 60)),
    });
  const clients = await openAwsClients(options);
  try {
    if (id.startsWith('snap-')) {
      const { Tags } = await findSnapshot(clients, id, signal);
      if (!force) checkOurs(id, Tags);
      await deleteSnapshot(clients, id, signal, 1);
      return { imageId: undefined, snapshotIds: [id] };
    }
    const image = await findImage(clients, id, signal);
    if (!force) checkOurs(id, image.Tags);
    const snapshotIds = await findSnapshots(clients, snapshotsOf(image), force, signal);
    await deregister(clients, id, signal);
    for (const [done, snapshotId] of snapshotIds.entries())
      await deleteSnapshot(clients, snapshotId, signal, IN_USE_ATTEMPTS).catch((error: unknown) => {
        throw withLeftSnapshots(
          toToolError(error, 'removing'),
          id,
          snapshotIds.slice(done),
          clients,
        );
      });
    return { imageId: id, snapshotIds };
  } finally {
    clients.close();
  }
}

async function findImage({ ec2 }: AwsClients, id: string, signal: AbortSignal): Promise<Image> {
  const { Images = [] } = await withRetries(
    () =>
      ec2
        // Others' images may be visible, too; only the owner can remove one.
        .send(new DescribeImagesCommand({ ImageIds: [id], Owners: ['self'] }), {
          abortSignal: signal,
        })
        .catch((error: unknown) => {
          throw asNotFound(id, error);
        }),
    { doing: `looking for ${id}`, signal },
  );
  return Images[0] ?? notFound(id);
}

async function findSnapshot(
  { ec2 }: AwsClients,
  id: string,
  signal: AbortSignal,
): Promise<Snapshot> {
  const { Snapshots = [] } = await withRetries(
    () =>
      ec2
        .send(new DescribeSnapshotsCommand({ SnapshotIds: [id], OwnerIds: ['self'] }), {
          abortSignal: signal,
        })
        .catch((error: unknown) => {
          throw asNotFound(id, error);
        }),
    { doing: `looking for ${id}`, signal },
  );
  return Snapshots[0] ?? notFound(id);
}

/**
 * Those snapshots of an AMI that are still there. An AMI can be made of others' snapshots, too: all
 * are looked at before anything is removed.
 */
async function findSnapshots(
  clients: AwsClients,
  ids: readonly string[],
  force: boolean,
  signal: AbortSignal,
): Promise<string[]> {
  const found: string[] = [];
  for (const id of ids)
    try {
      const { Tags } = await findSnapshot(clients, id, signal);
      if (!force) checkOurs(id, Tags);
      found.push(id);
    } catch (error) {
      if (!(error instanceof ToolError) || error.code !== 'ami.not-found') throw error;
    }
  return found;
}

async function deregister({ ec2 }: AwsClients, id: string, signal: AbortSignal): Promise<void> {
  await withRetries(
    async (attempt) => {
      try {
        await ec2.send(new DeregisterImageCommand({ ImageId: id }), { abortSignal: signal });
      } catch (error) {
        // The attempt before came through, only its answer did not.
        if (attempt > 1 && /^InvalidAMIID\./.test(awsErrorName(error))) return;
        throw error;
      }
    },
    { doing: `deregistering ${id}`, signal },
  );
}

async function deleteSnapshot(
  { ec2 }: AwsClients,
  id: string,
  signal: AbortSignal,
  inUseAttempts: number,
): Promise<void> {
  for (let left = inUseAttempts; ; left--) {
    const inUse = await withRetries(
      async (attempt) => {
        try {
          await ec2.send(new DeleteSnapshotCommand({ SnapshotId: id }), { abortSignal: signal });
          return undefined;
        } catch (error) {
          const name = awsErrorName(error);
          if (name === 'InvalidSnapshot.InUse') return error as Error;
          if (attempt > 1 && name === 'InvalidSnapshot.NotFound') return undefined;
          throw error;
        }
      },
      { doing: `removing ${id}`, signal },
    );
    if (inUse === undefined) return;
    if (left <= 1)
      throw new ToolError('ami.snapshot-in-use', {
        actual: `${id}: ${inUse.message}`,
        cause: inUse,
      });
    await pause(IN_USE_PAUSE_MS * 2 ** (inUseAttempts - left), signal);
  }
}

function checkOurs(id: string, tags: Image['Tags']): void {
  if (!isOurs(tags)) throw new ToolError('ami.not-ours', { actual: id });
}

function asNotFound(id: string, error: unknown): unknown {
  const missing = /^Invalid(AMIID|Snapshot)\.(NotFound|Unavailable)$/.test(awsErrorName(error));
  return missing ? new ToolError('ami.not-found', { actual: id, cause: error }) : error;
}

function notFound(id: string): never {
  throw new ToolError('ami.not-found', { actual: id });
}

function withLeftSnapshots(
  error: ToolError,
  imageId: string,
  left: readonly string[],
  clients: AwsClients,
): ToolError {
  return new ToolError(error.code, {
    ...(error.expected !== undefined && { expected: error.expected }),
    ...(error.actual !== undefined && { actual: error.actual }),
    hint: `${imageId} is removed, but ${left.join(', ')} stays: ${removalOf(left.join(' '), clients)} removes it.`,
    cause: error.cause ?? error,
  });
}
