import type { ToolCode } from '../../common/codes.js';
import { ToolError } from '../../common/tool-error.js';
import { commandName } from './constants.js';
import {
  baseResponseCode,
  describeResponseCode,
  formatResponseCode,
  TPM_RC,
} from './response-code.js';

/** A TPM's refusal: a `ToolError` that also has the response code. */
export class TpmResponseError extends ToolError {
  /** As the TPM sent it, e.g. 0x1c4. */
  readonly responseCode: number;
  /** Number of the command that was refused. */
  readonly commandCode: number;

  constructor(commandCode: number, responseCode: number) {
    super(toolCodeOf(responseCode), {
      actual: `${formatResponseCode(responseCode)} from ${commandName(commandCode)}`,
    });
    this.responseCode = responseCode;
    this.commandCode = commandCode;
  }
}

/** Whether an error is a TPM's refusal with this code, whatever parameter or handle it names. */
export function isResponseCode(error: unknown, code: number): error is TpmResponseError {
  return error instanceof TpmResponseError && baseResponseCode(error.responseCode) === code;
}

/** Whether the same command should simply be sent again. */
export function isRetryCode(code: number): boolean {
  return code === TPM_RC.RETRY || code === TPM_RC.YIELDED || code === TPM_RC.TESTING;
}

function toolCodeOf(responseCode: number): ToolCode {
  switch (baseResponseCode(responseCode)) {
    case TPM_RC.AUTH_FAIL:
    case TPM_RC.BAD_AUTH:
    case TPM_RC.LOCKOUT:
      return 'tpm.auth-failed';
    case TPM_RC.NV_SPACE:
      return 'tpm.nv-space';
    case TPM_RC.OBJECT_MEMORY:
    case TPM_RC.OBJECT_HANDLES:
    case TPM_RC.SESSION_MEMORY:
    case TPM_RC.SESSION_HANDLES:
      return 'tpm.no-memory';
    case TPM_RC.COMMAND_CODE:
    case TPM_RC.BAD_TAG:
      return 'tpm.unsupported';
    default:
      return isRetryCode(describeResponseCode(responseCode).code)
        ? 'tpm.retries-exhausted'
        : 'tpm.command-failed';
  }
}
