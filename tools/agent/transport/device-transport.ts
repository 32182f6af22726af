import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { type Bytes, copyBytes } from 'tee-verify/bytes';
import type { ToolCode } from '../../common/codes.js';
import { ToolError } from '../../common/tool-error.js';
import { MAX_TPM_MESSAGE_SIZE } from '../tpm/constants.js';
import { declaredSize, HEADER_SIZE } from './response-header.js';
import type { ExchangeOptions, TpmTransport } from './tpm-transport.js';

/** What the transport needs of an open device; node's FileHandle has it. */
export interface DeviceFile {
  write(data: Uint8Array): Promise<{ bytesWritten: number }>;
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: null,
  ): Promise<{ bytesRead: number }>;
  close(): Promise<void>;
}

/** Options of `openDeviceTransport`. */
export interface DeviceTransportOptions {
  /** Opens the device for reading and writing; for tests. */
  readonly openFile?: (path: string) => Promise<DeviceFile>;
}

const OPEN_ERRORS: Readonly<Record<string, ToolCode>> = {
  ENOENT: 'transport.not-found',
  ENODEV: 'transport.not-found',
  ENXIO: 'transport.not-found',
  ENOTDIR: 'transport.not-found',
  EACCES: 'transport.permission',
  EPERM: 'transport.permission',
  EBUSY: 'transport.busy',
};

let pending = 0;

/**
 * How many reads and writes of devices have not come back yet. The kernel decides when they do:
 * a process that exits waits for them.
 */
export function pendingDeviceOperations(): number {
  return pending;
}

/**
 * Opens a TPM device, e.g. `/dev/tpmrm0`: one write per command, one read per response. Anything
 * but a character device is refused before a byte is written to it.
 * @throws ToolError `transport.not-found`, `transport.permission`, `transport.busy`, `transport.io`
 */
export async function openDeviceTransport(
  path: string,
  options: DeviceTransportOptions = {},
): Promise<TpmTransport> {
  const openFile = options.openFile ?? openCharacterDevice;
  let file: DeviceFile;
  try {
    file = await openFile(path);
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    throw deviceError(cause, `opening ${path}`);
  }
  return new DeviceTransport(path, file, options);
}

class DeviceTransport implements TpmTransport {
  readonly description: string;
  readonly #file: DeviceFile;
  readonly #options: DeviceTransportOptions;
  #closed = false;

  constructor(path: string, file: DeviceFile, options: DeviceTransportOptions) {
    this.description = path;
    this.#file = file;
    this.#options = options;
  }

  async exchange(command: Uint8Array, { timeoutMs }: ExchangeOptions): Promise<Bytes> {
    if (this.#closed) throw new ToolError('transport.closed', { actual: this.description });
    try {
      return await withTimeLimit(this.#exchange(copyBytes(command)), timeoutMs, this.description);
    } catch (error) {
      // Not awaited: closing waits for the kernel, which may still hold the command.
      void this.close();
      throw error;
    }
  }

  async #exchange(command: Uint8Array): Promise<Bytes> {
    const { bytesWritten } = await this.#io(this.#file.write(command), 'writing to');
    if (bytesWritten !== command.length)
      throw new ToolError('transport.io', {
        expected: `one write of ${command.length} bytes to ${this.description}`,
        actual: `${bytesWritten} bytes written`,
      });
    // One byte more than any response, so that a larger one is noticed.
    const buffer = new Uint8Array(MAX_TPM_MESSAGE_SIZE + 1);
    const { bytesRead } = await this.#io(
      this.#file.read(buffer, 0, buffer.length, null),
      'reading from',
    );
    if (bytesRead < HEADER_SIZE)
      throw new ToolError('tpm.response-malformed', {
        expected: `at least ${HEADER_SIZE} bytes`,
        actual: `${bytesRead} bytes`,
      });
    const size = declaredSize(buffer);
    if (bytesRead !== size)
      throw new ToolError('tpm.response-malformed', {
        expected: `${size} bytes as its header says`,
        actual: `${bytesRead} bytes`,
      });
    return buffer.slice(0, size);
  }

  async #io<T>(operation: Promise<T>, what: string): Promise<T> {
    pending++;
    try {
      return await operation;
    } catch (cause) {
      throw deviceError(cause, `${what} ${this.description}`);
    } finally {
      pending--;
    }
  }

  async reopen(): Promise<TpmTransport> {
    void this.close();
    return openDeviceTransport(this.description, this.#options);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#file.close();
    } catch {
      // The descriptor is gone either way.
    }
  }
}

/**
 * Opens a character device. A command written to a file would overwrite it, and a pipe would take
 * it and never answer. Looked at before opening, because opening can have effects of its own, and
 * again afterwards: the name may have been given to something else. `inspect` is for tests.
 */
export async function openCharacterDevice(
  path: string,
  inspect: (path: string) => Promise<Stats> = stat,
): Promise<FileHandle> {
  checkIsDevice(await inspect(path), path);
  const file = await open(path, constants.O_RDWR | constants.O_NOCTTY);
  try {
    checkIsDevice(await file.stat(), path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function checkIsDevice(found: Stats, path: string): void {
  if (found.isCharacterDevice()) return;
  throw new ToolError('transport.not-found', {
    expected: 'a character device',
    actual: `${kindOf(found)} at ${path}`,
    hint: found.isSocket()
      ? `Write unix:${path} for a TPM that listens at a socket.`
      : 'Name a TPM device such as /dev/tpmrm0, tcp:host:port or unix:path. Nothing was written.',
  });
}

function kindOf(found: Stats): string {
  if (found.isFile()) return 'a regular file';
  if (found.isDirectory()) return 'a folder';
  if (found.isFIFO()) return 'a pipe';
  if (found.isSocket()) return 'a socket';
  return 'a block device';
}

function deviceError(cause: unknown, doing: string): ToolError {
  const errno = (cause as { code?: unknown }).code;
  const code = typeof errno === 'string' ? errno : 'unknown error';
  return new ToolError(OPEN_ERRORS[code] ?? 'transport.io', {
    actual: `${code} when ${doing}`,
    cause,
  });
}

/** Rejects with `transport.timeout` when `work` takes longer; `work` itself goes on. */
export async function withTimeLimit<T>(
  work: Promise<T>,
  timeoutMs: number,
  description: string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(timeoutError(timeoutMs, description)), timeoutMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
    // The loser of the race may still fail; nobody waits for it any more.
    work.catch(() => undefined);
  }
}

/** The error of an exchange that took too long. */
export function timeoutError(timeoutMs: number, description: string): ToolError {
  return new ToolError('transport.timeout', {
    expected: `an answer within ${timeoutMs} ms`,
    actual: `none from ${description}`,
  });
}
