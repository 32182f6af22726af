import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { ToolError } from '../common/tool-error.js';
import type { AwsClients } from './aws-clients.js';
import { awsErrorName, awsErrorReason } from './aws-errors.js';
import { BLOCK_BYTES, type BlockSummary } from './image-blocks.js';
import type { StartParameters } from './upload-state.js';
import { pause, type RetryOptions, withRetries } from './with-retries.js';

/** How long to wait for AWS, and who may stop it. */
export interface WaitOptions {
  readonly signal: AbortSignal;
  /** Default one hour. */
  readonly timeoutMs?: number | undefined;
  /** Between the first two questions; each pause is longer than the last. Default 500. */
  readonly pollMs?: number | undefined;
  readonly onRetry?: RetryOptions['onRetry'];
}

const DEFAULT_TIMEOUT_MS = 3_600_000;
const DEFAULT_POLL_MS = 500;
const MAX_POLL_MS = 15_000;
/** A new snapshot or image may not be known everywhere at once. */
const MAY_BE_UNKNOWN_MS = 60_000;

/** Starts the snapshot; the same parameters give the same snapshot again. Throws `ami.*`. */
export async function startSnapshot(
  { ebs }: AwsClients,
  parameters: StartParameters,
  { signal, onRetry }: WaitOptions,
): Promise<string> {
  const { SnapshotId, BlockSize } = await withRetries(
    () =>
      ebs.send(new StartSnapshotCommand({ ...parameters, Tags: [...parameters.Tags] }), {
        abortSignal: signal,
      }),
    { doing: 'starting the snapshot', signal, onRetry },
  );
  // It goes into the state file, into addresses, and into commands for people to copy.
  if (!/^snap-[0-9a-f]{8,40}$/.test(SnapshotId ?? '') || (BlockSize ?? BLOCK_BYTES) !== BLOCK_BYTES)
    throw new ToolError('ami.answer-incomplete', {
      expected: `a snapshot with blocks of ${BLOCK_BYTES} bytes`,
      actual: `${JSON.stringify(SnapshotId?.slice(0, 60)) ?? 'no id'}, ${BlockSize}`,
    });
  return SnapshotId as string;
}

/** Seals the snapshot: AWS compares count and checksum with what it received. Throws `ami.*`. */
export async function completeSnapshot(
  clients: AwsClients,
  snapshotId: string,
  { changedBlocks, checksum }: BlockSummary,
  { signal, onRetry, resumed }: WaitOptions & { readonly resumed: boolean },
): Promise<void> {
  const doing = 'completing the snapshot';
  await withRetries(
    async (attempt) => {
      try {
        await clients.ebs.send(
          new CompleteSnapshotCommand({
            SnapshotId: snapshotId,
            ChangedBlocksCount: changedBlocks,
            Checksum: checksum,
            ChecksumAlgorithm: 'SHA256',
            ChecksumAggregationMethod: 'LINEAR',
          }),
          { abortSignal: signal },
        );
      } catch (error) {
        // One before may have come through without its answer.
        if ((resumed || attempt > 1) && (await isSealed(clients, snapshotId, error))) return;
        throw error;
      }
    },
    { doing, signal, onRetry },
  );
}

/** Whether a snapshot takes no completion because it had one; other refusals are about its blocks. */
async function isSealed(clients: AwsClients, snapshotId: string, error: unknown): Promise<boolean> {
  const name = awsErrorName(error);
  if (name === 'ConflictException') return true;
  if (name !== 'ValidationException') return false;
  if (awsErrorReason(error) === 'INVALID_SNAPSHOT_ID') return true;
  return (await describeSnapshotState(clients, snapshotId)) === 'completed';
}

/** Waits until the snapshot can be used. Throws `ami.snapshot-failed`, `ami.wait-timeout`, `ami.*`. */
export async function waitForSnapshot(
  { ec2 }: AwsClients,
  snapshotId: string,
  options: WaitOptions,
): Promise<void> {
  await pollUntil(`snapshot ${snapshotId}`, options, async () => {
    const { Snapshots = [] } = await ec2.send(
      new DescribeSnapshotsCommand({ SnapshotIds: [snapshotId] }),
      { abortSignal: options.signal },
    );
    const { State, StateMessage, Progress } = Snapshots[0] ?? {};
    if (State === 'error')
      throw new ToolError('ami.snapshot-failed', {
        actual: `${snapshotId}: ${StateMessage ?? 'no reason given'}`,
      });
    return State === 'completed' ? true : `${State ?? 'unknown'} ${Progress ?? ''}`;
  });
}

/**
 * Asks until the answer is true; another answer says what it still is. Throws `ami.wait-timeout`
 * and what `ask` throws, except that something new may be unknown for a while.
 */
export async function pollUntil(
  what: string,
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS, pollMs = DEFAULT_POLL_MS, onRetry }: WaitOptions,
  ask: () => Promise<true | string>,
): Promise<void> {
  const started = Date.now();
  const doing = `waiting for ${what}`;
  for (let waitMs = pollMs; ; waitMs = Math.min(MAX_POLL_MS, waitMs * 1.5)) {
    const waited = (): number => Date.now() - started;
    const state = await withRetries(ask, { doing, signal, onRetry }).catch((error: unknown) => {
      const unknown = /NotFound$/.test(awsErrorName((error as Error).cause ?? {}));
      if (!unknown || waited() > Math.min(MAY_BE_UNKNOWN_MS, timeoutMs)) throw error;
      return 'not known yet';
    });
    if (state === true) return;
    if (waited() + waitMs > timeoutMs)
      throw new ToolError('ami.wait-timeout', {
        expected: `${what} within ${Math.round(timeoutMs / 1000)} s`,
        actual: state.trim(),
      });
    await pause(waitMs, signal);
  }
}

/** One word on the state of a snapshot for an error message; undefined when nobody can tell. */
export async function describeSnapshotState(
  { ec2 }: AwsClients,
  snapshotId: string,
): Promise<string | undefined> {
  try {
    const { Snapshots = [] } = await ec2.send(
      new DescribeSnapshotsCommand({ SnapshotIds: [snapshotId] }),
      { abortSignal: AbortSignal.timeout(5000) },
    );
    return Snapshots[0]?.State;
  } catch (error) {
    return /NotFound$/.test(awsErrorName(error)) ? 'gone' : undefined;
  }
}
