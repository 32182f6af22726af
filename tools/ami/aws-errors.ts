import type { ToolCode } from '../common/codes.js';
import { ToolError } from '../common/tool-error.js';

/** What errors of the SDK and of Node's network have in common. */
interface AwsErrorFields {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly Code?: unknown;
  readonly Reason?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const THROTTLING =
  /^(RequestThrottled|Throttling|ThrottledException|TooManyRequests|RequestLimitExceeded|SlowDown|EC2ThrottledException|PriorRequestNotComplete)/;
const NETWORK =
  /^(ECONNRESET|ECONNREFUSED|ECONNABORTED|EPIPE|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|ENETDOWN|EHOSTUNREACH|UND_ERR_|ERR_SOCKET|HPE_)/;
const CREDENTIALS =
  /^(CredentialsProviderError|TokenProviderError|ExpiredToken|RequestExpired|AuthFailure|UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId|MissingAuthenticationToken|InvalidSignature|SignatureDoesNotMatch|IncompleteSignature|RequestTimeTooSkewed)/;
const DENIED = /^(AccessDenied|UnauthorizedOperation|OptInRequired|Blocked$)/;
const QUOTA = /(LimitExceeded|QuotaExceeded|InsufficientCapacity)/;
/** The service gave up on a write that another attempt may still win. */
const PASSING_REASONS = /^(WRITE_REQUEST_TIMEOUT|CONFLICTING_BLOCK_UPDATE)$/;

/** The SDK adds it when an answer was not of the form that the service gives. */
const UNREADABLE_ANSWER = /\s*Deserialization error: to see the raw response/;

/** The name AWS gives an error, e.g. `RequestThrottledException`. */
export function awsErrorName(error: unknown): string {
  const { name, Code } = error as AwsErrorFields;
  return String(typeof Code === 'string' ? Code : (name ?? ''));
}

/** The `Reason` of an EBS direct error, e.g. `INVALID_SNAPSHOT_ID`. */
export function awsErrorReason(error: unknown): string {
  return String((error as AwsErrorFields).Reason ?? '');
}

/** Whether the same request may succeed a little later. */
export function isPassing(error: unknown): boolean {
  const { $metadata } = error as AwsErrorFields;
  const status = $metadata?.httpStatusCode;
  return (
    THROTTLING.test(awsErrorName(error)) ||
    isNetworkFault(error) ||
    PASSING_REASONS.test(awsErrorReason(error)) ||
    status === 429 ||
    (status !== undefined && status >= 500)
  );
}

/** The error of the tools for an error of the SDK; errors of the tools stay what they are. */
export function toToolError(error: unknown, doing: string): ToolError {
  if (error instanceof ToolError) return error;
  const name = awsErrorName(error);
  const whole = String((error as AwsErrorFields).message ?? error);
  const [message = '', unreadable] = whole.split(UNREADABLE_ANSWER);
  const status = (error as AwsErrorFields).$metadata?.httpStatusCode;
  const what =
    unreadable === undefined
      ? name || 'an error'
      : `an answer${status === undefined ? '' : ` with status ${status}`} that cannot be read`;
  const code = codeOf(error, name, message);
  return new ToolError(
    unreadable !== undefined && code === 'ami.service-failed' ? 'ami.answer-incomplete' : code,
    { actual: `${what} while ${doing}: ${oneLine(message).slice(0, 400)}`, cause: error },
  );
}

function codeOf(error: unknown, name: string, message: string): ToolCode {
  if (/^Region is missing/.test(message)) return 'ami.region-missing';
  if (THROTTLING.test(name)) return 'ami.throttled';
  if (CREDENTIALS.test(name)) return 'ami.credentials';
  if (DENIED.test(name) || (error as AwsErrorFields).$metadata?.httpStatusCode === 403)
    return 'ami.access-denied';
  if (QUOTA.test(name)) return 'ami.quota';
  if (isNetworkFault(error) || (error as AwsErrorFields).code === 'ENOTFOUND')
    return 'ami.unreachable';
  return 'ami.service-failed';
}

/** Without what would begin a line, or move a terminal's cursor. */
function oneLine(text: string): string {
  return text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
}

function isNetworkFault(error: unknown): boolean {
  const { name, code, message } = error as AwsErrorFields;
  return (
    NETWORK.test(String(code ?? '')) ||
    name === 'TimeoutError' ||
    /socket hang up/.test(String(message))
  );
}
