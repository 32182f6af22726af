import { randomBytes } from 'node:crypto';
import { attest } from '../agent/attest.js';
import type { TpmTransport } from '../agent/transport/tpm-transport.js';
import type { Attester } from './create-recipient.js';

/** Which TPM attests, and how long it may take. */
export interface NitroTpmOptions {
  /** `/dev/tpmrm0`, `tcp:host:port` or `unix:path`; default: this machine's TPM. */
  readonly tpm?: string | undefined;
  /** Instead of `tpm`: opens a connection for each document. */
  readonly openTransport?: (() => Promise<TpmTransport>) | undefined;
  /** Limit of one exchange with the TPM; default 30,000. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hears what is being done, for a progress line. */
  readonly onProgress?: ((doing: string) => void) | undefined;
}

/**
 * Attests with the NitroTPM of this machine. The attester throws ToolError `transport.*`, `tpm.*`
 * and `attest.*`.
 */
export function attestWithNitroTpm(options: NitroTpmOptions = {}): Attester {
  const { openTransport, ...others } = options;
  return async (publicKey) => {
    const { document } = await attest({
      ...others,
      ...(openTransport !== undefined && { transport: await openTransport() }),
      format: 'document',
      publicKey,
      // The key service does not look at it; it keeps documents apart in logs.
      nonce: randomBytes(32),
    });
    return document;
  };
}
