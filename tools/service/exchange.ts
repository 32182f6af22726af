/**
 * A request, as little of it as the verifier needs. A Web `Request` costs more than a signature on
 * some runtimes (Node): an adapter that has the parts already hands them over like this.
 */
export interface Exchange {
  readonly method: string;
  /** Path and query, or the whole URL. */
  readonly url: string;
  readonly contentType: string;
  /** The whole body; rejects with `service.body-too-large`, `service.body-invalid`. */
  read(maxBytes: number): Promise<Uint8Array>;
  /** Nobody waits any more: what is left of the body need not be read. */
  stop(): void;
  /** The Web request, for a rate limit that wants to see it. */
  request(): Request;
}

/** What is answered. */
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}
