import type { Bytes } from 'tee-verify/bytes';
import { readPcrs } from './tpm/commands/pcrs.js';
import { TPM_ALG } from './tpm/constants.js';
import { allPcrs } from './tpm/pcr-selection.js';
import { TpmClient } from './tpm/tpm-client.js';
import { openTransport } from './transport/open-transport.js';

/** Options of `readOwnPcrs`. */
export interface OwnPcrsOptions {
  /** A device, `tcp:host:port` or `unix:path`; default: the first device of this machine. */
  readonly tpm?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the 24 PCRs of the SHA-384 bank of this machine's TPM, of any maker: index → 48 bytes.
 * Nothing signs them; they prove nothing to others.
 * @throws ToolError `transport.*`, `tpm.*`, `attest.pcrs-changing`, `attest.interrupted`
 */
export async function readOwnPcrs(
  options: OwnPcrsOptions = {},
): Promise<ReadonlyMap<number, Bytes>> {
  const { timeoutMs = 30_000, signal } = options;
  const transport = await openTransport(options.tpm, { timeoutMs });
  const client = new TpmClient(transport, {
    timeoutMs,
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    return (await readPcrs(client, allPcrs(TPM_ALG.SHA384))).values;
  } finally {
    await client.close();
  }
}
