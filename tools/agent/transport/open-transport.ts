import { stat } from 'node:fs/promises';
import { ToolError } from '../../common/tool-error.js';
import { openDeviceTransport } from './device-transport.js';
import { openSocketTransport, type SocketAddress } from './socket-transport.js';
import type { ExchangeOptions, TpmTransport } from './tpm-transport.js';

/** Devices tried when none is named: the shared one first. */
export const DEFAULT_DEVICES: readonly string[] = ['/dev/tpmrm0', '/dev/tpm0'];

/** A TPM's address as the command line names it, understood. */
export type TpmAddress = { readonly device: string } | SocketAddress;

/**
 * Understands `/dev/…` (or any path), `tcp:host:port` and `unix:path`. `forms` says in an error
 * what would have been understood.
 * @throws ToolError `usage.option-invalid`
 */
export function parseTpmAddress(
  text: string,
  forms = 'a device like /dev/tpmrm0, tcp:host:port or unix:path',
): TpmAddress {
  if (text.startsWith('unix:') && text.length > 5) return { path: text.slice(5) };
  if (text.startsWith('tcp:')) {
    const match = /^tcp:(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
    const port = Number(match?.[3]);
    const host = match?.[1] ?? match?.[2];
    if (host !== undefined && port <= 65535) return { host, port };
  } else if (text.startsWith('/') || text.startsWith('./')) {
    return { device: text };
  }
  throw new ToolError('usage.option-invalid', {
    expected: forms,
    actual: JSON.stringify(text),
  });
}

/**
 * Opens a TPM by its address, or the first device of this machine.
 * @throws ToolError `transport.*`, `usage.option-invalid`
 */
export async function openTransport(
  text: string | undefined,
  options: ExchangeOptions,
): Promise<TpmTransport> {
  const address = parseTpmAddress(text ?? (await defaultDevice()));
  if ('device' in address) return openDeviceTransport(address.device);
  return openSocketTransport(address, options);
}

/** The first of `DEFAULT_DEVICES` that exists, or the first of all for the error message. */
export async function defaultDevice(): Promise<string> {
  for (const path of DEFAULT_DEVICES) {
    try {
      await stat(path);
      return path;
    } catch {
      // Try the next one.
    }
  }
  return DEFAULT_DEVICES[0] as string;
}
