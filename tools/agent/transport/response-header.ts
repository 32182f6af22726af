import { ToolError } from '../../common/tool-error.js';
import { MAX_TPM_MESSAGE_SIZE } from '../tpm/constants.js';

/** Bytes of a command or response header: tag u16, size u32, code u32 (Part 1, 18). */
export const HEADER_SIZE = 10;

/** The size that a header declares, checked against what a TPM can send. */
export function declaredSize(header: Uint8Array): number {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const size = view.getUint32(2);
  if (size > MAX_TPM_MESSAGE_SIZE)
    throw new ToolError('tpm.response-too-large', {
      expected: `at most ${MAX_TPM_MESSAGE_SIZE} bytes`,
      actual: `a declared size of ${size}`,
    });
  if (size < HEADER_SIZE)
    throw new ToolError('tpm.response-malformed', {
      expected: `a size of at least ${HEADER_SIZE}`,
      actual: `a declared size of ${size}`,
    });
  return size;
}
