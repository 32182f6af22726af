import { setMaxListeners } from 'node:events';
import { type EBSClient, PutSnapshotBlockCommand } from '@aws-sdk/client-ebs';
import { encodeBase64, equalBytes } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';
import { awsErrorName, awsErrorReason } from './aws-errors.js';
import {
  BLOCK_BYTES,
  type BlockSummary,
  type ImageBlock,
  type ImageBlocks,
} from './image-blocks.js';
import type { UploadState } from './upload-state.js';
import { checkInterrupted, UnbelievableAnswer, withRetries } from './with-retries.js';

/** What an upload needs. */
export interface UploadOptions {
  readonly ebs: EBSClient;
  readonly snapshotId: string;
  readonly blocks: ImageBlocks;
  readonly state: UploadState;
  /** Blocks under way at once. */
  readonly concurrency: number;
  readonly signal: AbortSignal;
  /** Told after each block: it was sent, or had been acknowledged in an earlier run. */
  readonly onBlock?: ((how: 'sent' | 'known') => void) | undefined;
  readonly onRetry?: ((error: unknown) => void) | undefined;
}

/**
 * Sends every block that is to be sent and was not acknowledged before, and checks each
 * acknowledgement. Each of `concurrency` loops reads its next block when its last one is through: so
 * reading waits for the network, and memory stays bounded. Throws `ami.*`, `file.*`.
 */
export async function uploadBlocks(options: UploadOptions): Promise<BlockSummary> {
  const { ebs, blocks, state, concurrency, signal } = options;
  const stop = new AbortController();
  const stopSignal = AbortSignal.any([signal, stop.signal]);
  setMaxListeners(0, stopSignal);
  // Ends what is under way. Passing the signal with each request would have the SDK put its steps
  // together anew for each, which costs as much as the request.
  const cut = (): void => {
    ebs.destroy();
    blocks.stop(new ToolError('ami.interrupted'));
  };
  stopSignal.addEventListener('abort', cut);
  let known = 0;

  async function work(): Promise<void> {
    for (;;) {
      checkInterrupted(stopSignal);
      const block = await blocks.next();
      if (block === undefined) return;
      try {
        const before = state.acknowledged.get(block.index);
        if (before === undefined) {
          await putBlock(options, block, stopSignal);
          state.acknowledge(block.index, block.digest);
        } else if (equalBytes(block.digest, before)) known++;
        else
          throw new ToolError('ami.image-changed', {
            actual: `other data in block ${block.index}`,
          });
        options.onBlock?.(before === undefined ? 'sent' : 'known');
      } finally {
        block.release();
      }
    }
  }

  const failures: unknown[] = [];
  await Promise.all(
    Array.from({ length: concurrency }, () =>
      work().catch((error: unknown) => {
        failures.push(error);
        stop.abort();
      }),
    ),
  );
  stopSignal.removeEventListener('abort', cut);
  // The first failure is the reason; the others were stopped because of it.
  if (failures.length > 0) throw failures[0];
  if (known !== state.acknowledged.size)
    throw new ToolError('ami.image-changed', { actual: 'zeros in blocks that had data' });
  return blocks.summary;
}

async function putBlock(
  { ebs, snapshotId, onRetry }: UploadOptions,
  { index, bytes, digest }: ImageBlock,
  signal: AbortSignal,
): Promise<void> {
  const checksum = encodeBase64(digest);
  const doing = `uploading block ${index}`;
  await withRetries(
    async () => {
      const answer = await ebs
        .send(
          new PutSnapshotBlockCommand({
            SnapshotId: snapshotId,
            BlockIndex: index,
            BlockData: bytes,
            DataLength: BLOCK_BYTES,
            Checksum: checksum,
            ChecksumAlgorithm: 'SHA256',
          }),
        )
        .catch((error: unknown) => {
          throw isGone(error) ? gone(snapshotId, error) : error;
        });
      if (answer.Checksum !== checksum)
        throw new UnbelievableAnswer('ami.acknowledgement-wrong', {
          expected: `checksum ${checksum} for block ${index}`,
          actual: answer.Checksum ?? 'none',
        });
    },
    { doing, signal, onRetry },
  );
}

/** Completed, cancelled or removed: such a snapshot takes no block any more. */
function isGone(error: unknown): boolean {
  const reason = awsErrorReason(error);
  return (
    awsErrorName(error) === 'ResourceNotFoundException' ||
    reason === 'INVALID_SNAPSHOT_ID' ||
    reason === 'SNAPSHOT_NOT_FOUND'
  );
}

function gone(snapshotId: string, cause: unknown): ToolError {
  const { message } = cause as Error;
  return new ToolError('ami.snapshot-gone', { actual: `${snapshotId}: ${message}`, cause });
}
