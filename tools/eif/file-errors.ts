import { ToolError } from '../common/tool-error.js';

/** Errors of the file system become `file.unwritable`. */
export async function writing<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw toToolError('file.unwritable', name, cause);
  }
}

/** Errors of the file system become `file.unreadable`. */
export function reading<T>(name: string | Buffer, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw toToolError('file.unreadable', name.toString(), cause);
  }
}

function toToolError(
  code: 'file.unreadable' | 'file.unwritable',
  name: string,
  cause: unknown,
): ToolError {
  if (cause instanceof ToolError) return cause;
  const { code: reason = 'an error' } = cause as NodeJS.ErrnoException;
  return new ToolError(code, { actual: `${name}: ${reason}`, cause });
}
