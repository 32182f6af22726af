import { printable } from 'tee-verify/measure';
import type { ToolCode } from '../common/codes.js';
import { ToolError } from '../common/tool-error.js';

/** Names of the service's and the SDK's errors. */
const CODES: Readonly<Record<string, ToolCode>> = {
  AccessDeniedException: 'kms.access-denied',
  InvalidCiphertextException: 'kms.ciphertext-refused',
  IncorrectKeyException: 'kms.ciphertext-refused',
  NotFoundException: 'kms.key-unusable',
  DisabledException: 'kms.key-unusable',
  InvalidArnException: 'kms.key-unusable',
  InvalidKeyUsageException: 'kms.key-unusable',
  KMSInvalidStateException: 'kms.key-unusable',
  KeyUnavailableException: 'kms.key-unusable',
  UnrecognizedClientException: 'kms.credentials',
  InvalidClientTokenId: 'kms.credentials',
  ExpiredTokenException: 'kms.credentials',
  InvalidSignatureException: 'kms.credentials',
  IncompleteSignatureException: 'kms.credentials',
  MissingAuthenticationTokenException: 'kms.credentials',
  CredentialsProviderError: 'kms.credentials',
  TokenProviderError: 'kms.credentials',
  ThrottlingException: 'kms.throttled',
  TooManyRequestsException: 'kms.throttled',
  RequestLimitExceeded: 'kms.throttled',
  TimeoutError: 'kms.unreachable',
  AbortError: 'attest.interrupted',
};

const NETWORK =
  /^(E(CONN|HOST|NET|AI|PIPE|TIMEDOUT|PROTO)|ENOTFOUND|UND_|CERT_|ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/;
const MAX_TEXT = 400;

/** What the SDK threw, as an error with a code. Errors of our own stay what they are. */
export function serviceError(cause: unknown): ToolError {
  if (cause instanceof ToolError) return cause;
  const { name = '', code } = (cause ?? {}) as { name?: string; code?: unknown };
  const text = oneLine(cause instanceof Error ? cause.message : String(cause));
  const known = Object.hasOwn(CODES, name) ? CODES[name] : undefined;
  return new ToolError(known ?? guess(name, code, text), {
    ...(/region is missing/i.test(text) && { expected: '--region, or AWS_REGION' }),
    actual: name === '' || name === 'Error' ? text : `${name}: ${text}`,
    cause,
  });
}

function guess(name: string, code: unknown, text: string): ToolCode {
  if (typeof code === 'string' && NETWORK.test(code)) return 'kms.unreachable';
  if (name === 'ValidationException' && /attestation|recipient/i.test(text))
    return 'kms.attestation-refused';
  if (/region is missing/i.test(text)) return 'kms.unreachable';
  return 'kms.service-failed';
}

/** The service's words, without what could move a terminal's cursor. */
function oneLine(text: string): string {
  return printable(text).trim().slice(0, MAX_TEXT) || 'no text';
}
