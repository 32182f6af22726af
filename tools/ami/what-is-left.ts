import type { ToolCode } from '../common/codes.js';
import { ToolError } from '../common/tool-error.js';
import type { AwsClients } from './aws-clients.js';
import { describeSnapshotState } from './snapshot.js';
import type { UploadState } from './upload-state.js';

/** After these, a snapshot may have been started although no answer came. */
const OUTCOME_UNKNOWN: ReadonlySet<ToolCode> = new Set<ToolCode>([
  'ami.interrupted',
  'ami.unreachable',
  'ami.throttled',
  'ami.service-failed',
  'ami.answer-incomplete',
]);

/** After these, going on would fail in the same way. */
const NOT_TO_RESUME: ReadonlySet<ToolCode> = new Set<ToolCode>([
  'ami.image-changed',
  'ami.snapshot-failed',
  'ami.snapshot-gone',
]);

/**
 * Adds to an error's hint what stays in the account, and the commands that remove it or go on. A
 * state file that nothing belongs to is removed.
 */
export async function withWhatIsLeft(
  error: ToolError,
  clients: AwsClients | undefined,
  state: UploadState | undefined,
): Promise<ToolError> {
  if (clients === undefined || state === undefined) return error;
  const { snapshotId, path } = state;
  if (snapshotId === undefined) {
    if (state.asked && OUTCOME_UNKNOWN.has(error.code))
      return withHint(
        error,
        `Whether the snapshot was started is not known: the same command with --resume finds out (state file ${path}).`,
      );
    state.remove();
    return withHint(error, 'Nothing was made in the account.');
  }
  const status = (await describeSnapshotState(clients, snapshotId)) ?? 'state unknown';
  if (status === 'gone')
    return withHint(
      error,
      `Nothing is left in the account; remove ${path} before you start again.`,
    );
  const goOn = NOT_TO_RESUME.has(error.code)
    ? ''
    : 'the same command with --resume goes on with it; ';
  return withHint(
    error,
    `${snapshotId} (${status}) stays in ${clients.region}: ${goOn}${removalOf(snapshotId, clients)} removes it, and then remove ${path}, too.`,
  );
}

/** The command that removes a snapshot. */
export function removalOf(
  snapshotId: string,
  { region, endpoint }: { readonly region: string; readonly endpoint?: string | undefined },
): string {
  const where = endpoint === undefined ? '' : ` --endpoint ${endpoint}`;
  return `"tee-ami delete ${snapshotId} --region ${region}${where}"`;
}

function withHint(error: ToolError, more: string): ToolError {
  return new ToolError(error.code, {
    ...(error.expected !== undefined && { expected: error.expected }),
    ...(error.actual !== undefined && { actual: error.actual }),
    hint: `${error.hint} ${more}`,
    cause: error.cause ?? error,
  });
}
