import { connect, type Socket } from 'node:net';
import { type Bytes, concatBytes } from 'tee-verify/bytes';
import { ToolError } from '../../common/tool-error.js';
import { timeoutError } from './device-transport.js';
import { declaredSize, HEADER_SIZE } from './response-header.js';
import type { ExchangeOptions, TpmTransport } from './tpm-transport.js';

/** Where a TPM listens for raw commands. */
export type SocketAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string };

/**
 * Connects to a TPM that takes raw commands over TCP or a Unix socket (swtpm, tee-simulator).
 * @throws ToolError `transport.connect-failed`, `transport.not-found`, `transport.permission`,
 *   `transport.timeout`
 */
export async function openSocketTransport(
  address: SocketAddress,
  options: ExchangeOptions,
): Promise<TpmTransport> {
  const description = describeAddress(address);
  const socket = connect('path' in address ? { path: address.path } : { ...address });
  socket.setNoDelay(true);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(timeoutError(options.timeoutMs, description));
    }, options.timeoutMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve();
    });
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(connectError(cause, description));
    });
  });
  return new SocketTransport(address, description, socket);
}

class SocketTransport implements TpmTransport {
  readonly description: string;
  readonly #address: SocketAddress;
  readonly #socket: Socket;
  /** Bytes that came and were not yet taken. */
  #received: Uint8Array[] = [];
  #length = 0;
  #ended: Error | 'ended' | undefined;
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(address: SocketAddress, description: string, socket: Socket) {
    this.#address = address;
    this.description = description;
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#received.push(chunk);
      this.#length += chunk.length;
      this.#wake();
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end('ended'));
    socket.on('end', () => this.#end('ended'));
  }

  async exchange(command: Uint8Array, { timeoutMs }: ExchangeOptions): Promise<Bytes> {
    if (this.#closed) throw new ToolError('transport.closed', { actual: this.description });
    try {
      return await this.#exchange(command, timeoutMs);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  #exchange(command: Uint8Array, timeoutMs: number): Promise<Bytes> {
    return new Promise<Bytes>((resolve, reject) => {
      const timer = setTimeout(
        () => settle(() => reject(timeoutError(timeoutMs, this.description))),
        timeoutMs,
      );
      const settle = (done: () => void): void => {
        clearTimeout(timer);
        this.#wake = () => undefined;
        done();
      };
      const check = (): void => {
        try {
          const response = this.#takeResponse();
          if (response !== undefined) settle(() => resolve(response));
          else if (this.#ended !== undefined)
            settle(() => reject(disconnected(this.#ended, this.#length, this.description)));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      if (this.#length > 0) {
        settle(() => reject(unexpectedBytes(this.#length)));
        return;
      }
      this.#wake = check;
      if (this.#ended === undefined) this.#socket.write(command);
      check();
    });
  }

  /** The response when all of it has come. */
  #takeResponse(): Bytes | undefined {
    if (this.#length < HEADER_SIZE) return undefined;
    const bytes = concatBytes(...this.#received);
    this.#received = [bytes];
    const size = declaredSize(bytes);
    if (bytes.length < size) return undefined;
    if (bytes.length > size) throw unexpectedBytes(bytes.length - size);
    this.#received = [];
    this.#length = 0;
    return bytes;
  }

  #end(how: Error | 'ended'): void {
    this.#ended ??= how;
    this.#wake();
  }

  async reopen(options: ExchangeOptions): Promise<TpmTransport> {
    await this.close();
    return openSocketTransport(this.#address, options);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#socket.destroy();
  }
}

/** `tcp:host:port` or `unix:path`. */
export function describeAddress(address: SocketAddress): string {
  if ('path' in address) return `unix:${address.path}`;
  return `tcp:${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

function unexpectedBytes(count: number): ToolError {
  return new ToolError('tpm.response-malformed', {
    expected: 'nothing after the response',
    actual: `${count} more bytes`,
  });
}

function disconnected(how: unknown, received: number, description: string): ToolError {
  return new ToolError('transport.disconnected', {
    expected: `a whole response from ${description}`,
    actual: `${received} bytes`,
    ...(how instanceof Error ? { cause: how } : {}),
  });
}

function connectError(cause: NodeJS.ErrnoException, description: string): ToolError {
  const details = { actual: `${cause.code ?? cause.message} at ${description}`, cause };
  if (cause.code === 'EACCES' || cause.code === 'EPERM')
    return new ToolError('transport.permission', {
      ...details,
      hint: 'Check the permissions of the socket.',
    });
  if (cause.code === 'ENOENT' || cause.code === 'ENOTFOUND')
    return new ToolError('transport.not-found', {
      ...details,
      hint: 'Check the name; is the TPM (swtpm, tee-simulator) running?',
    });
  return new ToolError('transport.connect-failed', details);
}
