/** One line of the log: what was asked and how it ended. Nothing of the evidence stands in it. */
export interface LogEntry {
  /** RFC 3339. */
  readonly time: string;
  readonly level: 'info' | 'warn' | 'error';
  readonly event: 'request' | 'failure';
  readonly requestId: string;
  readonly method: string;
  /** A path of the table, or `other`: never what the client wrote. */
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
  readonly code?: string;
  /** An audience of the policies: never what the client wrote. */
  readonly audience?: string;
  /** Why an answer is 500 or more: the message of the error and of its cause. */
  readonly error?: string;
}
