import { ToolError } from '../../common/tool-error.js';

/** What became of one check. */
export interface CheckResult {
  readonly check: string;
  readonly result: 'passed' | 'failed' | 'not run';
  /** What was found; of a failed check, what was expected and what was there. */
  readonly detail: string;
  /** Of a failed check. */
  readonly code?: string;
  readonly hint?: string;
}

/** Runs checks in order. A failed one is noted; what needs its result does not run. */
export class CheckList {
  readonly results: CheckResult[] = [];

  get passed(): boolean {
    return this.results.every(({ result }) => result === 'passed');
  }

  /** Gives what `work` found, or undefined when it failed or could not run. */
  async run<T>(
    check: string,
    needs: readonly unknown[],
    work: () => Promise<{ readonly detail: string; readonly value: T }>,
  ): Promise<T | undefined> {
    if (needs.includes(undefined)) {
      this.results.push({ check, result: 'not run', detail: 'an earlier check failed' });
      return undefined;
    }
    try {
      const { detail, value } = await work();
      this.results.push({ check, result: 'passed', detail });
      return value;
    } catch (error) {
      if (!isCoded(error)) throw error;
      // A file that cannot be read says nothing about the image.
      if (error.code.startsWith('file.')) throw error;
      const { code, message, hint } = error;
      const detail = message.replace(`${code}: `, '');
      this.results.push({ check, result: 'failed', detail, code, hint });
      return undefined;
    }
  }
}

interface CodedError extends Error {
  readonly code: string;
  readonly hint: string;
}

function isCoded(error: unknown): error is CodedError {
  return (
    error instanceof ToolError || (error instanceof Error && error.name === 'AttestationError')
  );
}
