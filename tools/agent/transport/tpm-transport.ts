/** How long one exchange may take, and what else bounds it. */
export interface ExchangeOptions {
  /** From sending the command to the last byte of the answer. */
  readonly timeoutMs: number;
}

/**
 * A connection to a TPM that carries raw commands, one at a time: the whole command out, the
 * whole response back. After a failed exchange the connection is closed, because the TPM and its
 * user no longer agree on what comes next.
 */
export interface TpmTransport {
  /** For messages, e.g. `/dev/tpmrm0` or `tcp:127.0.0.1:2321`. */
  readonly description: string;
  /**
   * Sends a command and gives its response, header included, at most 4096 bytes.
   * @throws ToolError `transport.*`, `tpm.response-malformed`, `tpm.response-too-large`
   */
  exchange(command: Uint8Array, options: ExchangeOptions): Promise<Uint8Array>;
  /** A new connection to the same TPM, for cleaning up after a failed exchange. */
  reopen(options: ExchangeOptions): Promise<TpmTransport>;
  /** Closes the connection; more than once is fine. */
  close(): Promise<void>;
}
