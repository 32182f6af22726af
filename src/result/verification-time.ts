/** The time that everything is judged at, and where it came from. */
export interface VerificationTime {
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  /** The clock of this machine, a time the caller gave, or the document's own timestamp. */
  readonly source: 'clock' | 'given' | 'document';
  readonly clockToleranceSeconds: number;
  /** The document's own (perhaps not yet proven) timestamp. */
  readonly documentMs: number;
}
