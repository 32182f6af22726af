import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type DeviceFile,
  openCharacterDevice,
  openDeviceTransport,
  pendingDeviceOperations,
} from './device-transport.js';
import { openTransport, parseTpmAddress } from './open-transport.js';
import { openSocketTransport } from './socket-transport.js';
import type { TpmTransport } from './tpm-transport.js';

const COMMAND = Buffer.from('80010000000c0000017b0008', 'hex');
const RESPONSE = Buffer.from('80010000000e0000000000020102', 'hex');

describe('device transport', () => {
  const open = (file: Partial<DeviceFile>): Promise<TpmTransport> =>
    openDeviceTransport('/dev/test', {
      openFile: async () => ({
        write: async (data) => ({ bytesWritten: data.length }),
        read: async () => ({ bytesRead: 0 }),
        close: async () => undefined,
        ...file,
      }),
    });
  const answering = (bytes: Uint8Array): Partial<DeviceFile> => ({
    read: async (buffer) => {
      buffer.set(bytes.subarray(0, buffer.length));
      return { bytesRead: Math.min(bytes.length, buffer.length) };
    },
  });

  it('writes once and reads once', async () => {
    const writes: number[] = [];
    const reads: number[] = [];
    const transport = await open({
      write: async (data) => {
        writes.push(data.length);
        return { bytesWritten: data.length };
      },
      read: async (buffer, offset, length) => {
        reads.push(length);
        buffer.set(RESPONSE, offset);
        return { bytesRead: RESPONSE.length };
      },
    });
    const response = await transport.exchange(COMMAND, { timeoutMs: 1000 });
    expect(Buffer.from(response).equals(RESPONSE)).toBe(true);
    expect([writes, reads]).toEqual([[COMMAND.length], [4097]]);
  });
  it.each([
    ['ENOENT', 'transport.not-found'],
    ['ENODEV', 'transport.not-found'],
    ['EACCES', 'transport.permission'],
    ['EPERM', 'transport.permission'],
    ['EBUSY', 'transport.busy'],
    ['EIO', 'transport.io'],
  ])('%s when opening is %s', async (errno, code) => {
    const openFile = async (): Promise<DeviceFile> => {
      throw Object.assign(new Error(errno), { code: errno });
    };
    await expect(openDeviceTransport('/dev/test', { openFile })).rejects.toMatchObject({
      code,
      actual: expect.stringContaining(errno),
    });
  });
  it('says that a real device is not there', async () => {
    await expect(openDeviceTransport('/dev/no-such-tpm')).rejects.toMatchObject({
      code: 'transport.not-found',
    });
  });
  describe('refuses what is no device, and leaves it as it is', () => {
    const text = 'root:x:0:0:root:/root:/bin/sh\n';
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'tpm-'));
      writeFileSync(join(folder, 'file'), text);
      symlinkSync('file', join(folder, 'link'));
      mkdirSync(join(folder, 'folder'));
      execFileSync('mkfifo', [join(folder, 'pipe')]);
    });
    afterEach(() => {
      expect(readFileSync(join(folder, 'file'), 'utf8')).toBe(text);
      rmSync(folder, { recursive: true });
    });
    const start = async (path: string): Promise<unknown> =>
      (await openTransport(path, { timeoutMs: 500 })).exchange(COMMAND, { timeoutMs: 500 });

    // The mistake: --tpm and --out mixed up. The command would overwrite the file's first bytes.
    it.each([
      ['file', 'a regular file'],
      ['link', 'a regular file'],
      ['folder', 'a folder'],
      ['pipe', 'a pipe'],
    ])('a %s', async (name, kind) => {
      await expect(start(join(folder, name))).rejects.toMatchObject({
        code: 'transport.not-found',
        actual: `${kind} at ${join(folder, name)}`,
      });
    });
    it('a socket, and says how to name it', async () => {
      const path = join(folder, 'socket');
      const listener = createServer();
      await new Promise<void>((resolve) => listener.listen(path, resolve));
      try {
        await expect(start(path)).rejects.toMatchObject({
          code: 'transport.not-found',
          hint: expect.stringContaining(`unix:${path}`),
        });
      } finally {
        listener.close();
      }
    });
    // The attacker: turns a link in a folder of his after it was looked at.
    it('a file that took the place of a device after the first look', async () => {
      const openFile = (path: string): Promise<DeviceFile> =>
        openCharacterDevice(path, () => stat('/dev/null'));
      await expect(openDeviceTransport(join(folder, 'file'), { openFile })).rejects.toMatchObject({
        code: 'transport.not-found',
        expected: 'a character device',
      });
    });
  });
  it('refuses a device that answers nothing like a TPM', async () => {
    const transport = await openTransport('/dev/null', { timeoutMs: 1000 });
    await expect(transport.exchange(COMMAND, { timeoutMs: 1000 })).rejects.toMatchObject({
      code: 'tpm.response-malformed',
    });
  });
  it.each<[string, Partial<DeviceFile>, string]>([
    ['a part of the command taken', { write: async () => ({ bytesWritten: 3 }) }, 'transport.io'],
    ['nothing', answering(new Uint8Array(0)), 'tpm.response-malformed'],
    ['half a header', answering(RESPONSE.subarray(0, 5)), 'tpm.response-malformed'],
    ['too few bytes', answering(RESPONSE.subarray(0, 13)), 'tpm.response-malformed'],
    [
      'too many bytes',
      answering(Buffer.concat([RESPONSE, Buffer.alloc(1)])),
      'tpm.response-malformed',
    ],
    [
      'a size below the header',
      answering(Buffer.from('8001000000090000000000', 'hex')),
      'tpm.response-malformed',
    ],
    [
      'a size that no TPM has',
      answering(Buffer.from('80010000100100000000', 'hex')),
      'tpm.response-too-large',
    ],
    [
      'EIO',
      { read: async () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) },
      'transport.io',
    ],
    [
      'EBUSY',
      { write: async () => Promise.reject(Object.assign(new Error('EBUSY'), { code: 'EBUSY' })) },
      'transport.busy',
    ],
  ])('%s ends the exchange and closes', async (_, file, code) => {
    const transport = await open(file);
    await expect(transport.exchange(COMMAND, { timeoutMs: 1000 })).rejects.toMatchObject({ code });
    await expect(transport.exchange(COMMAND, { timeoutMs: 1000 })).rejects.toMatchObject({
      code: 'transport.closed',
    });
    await transport.close();
  });
  it('ends a silent exchange at its limit, and knows that the kernel still has it', async () => {
    let release = (): void => undefined;
    const transport = await open({
      read: () =>
        new Promise((resolve) => {
          release = () => resolve({ bytesRead: 0 });
        }),
    });
    const before = pendingDeviceOperations();
    await expect(transport.exchange(COMMAND, { timeoutMs: 30 })).rejects.toMatchObject({
      code: 'transport.timeout',
    });
    expect(pendingDeviceOperations()).toBe(before + 1);
    release();
    await new Promise((resolve) => setImmediate(resolve));
    expect(pendingDeviceOperations()).toBe(before);
  });
});

describe('socket transport', () => {
  let server: Server | undefined;
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    server?.close();
  });
  const serve = async (answer: (socket: Socket) => void): Promise<TpmTransport> => {
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.on('data', () => answer(socket));
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = (server as Server).address() as { port: number };
    return openSocketTransport({ host: '127.0.0.1', port }, { timeoutMs: 2000 });
  };

  it('reassembles a response that comes in pieces, again and again', async () => {
    const transport = await serve((socket) => {
      for (const [i, byte] of RESPONSE.entries())
        setTimeout(() => socket.write(Buffer.from([byte])), 2 * i);
    });
    for (let i = 0; i < 3; i++) {
      const response = await transport.exchange(COMMAND, { timeoutMs: 2000 });
      expect(Buffer.from(response).equals(RESPONSE)).toBe(true);
    }
    await transport.close();
  });
  it.each<[string, (socket: Socket) => void, string]>([
    ['silence', () => undefined, 'transport.timeout'],
    [
      'half an answer and silence',
      (socket) => socket.write(RESPONSE.subarray(0, 11)),
      'transport.timeout',
    ],
    ['an end without an answer', (socket) => socket.end(), 'transport.disconnected'],
    [
      'half an answer and an end',
      (socket) => socket.end(RESPONSE.subarray(0, 11)),
      'transport.disconnected',
    ],
    ['a reset', (socket) => socket.resetAndDestroy(), 'transport.disconnected'],
    [
      'more than one answer',
      (socket) => socket.write(Buffer.concat([RESPONSE, RESPONSE])),
      'tpm.response-malformed',
    ],
    [
      'an answer without end',
      (socket) => socket.write(Buffer.from('8001ffffffff00000000', 'hex')),
      'tpm.response-too-large',
    ],
    [
      'HTTP',
      (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
      'tpm.response-too-large',
    ],
  ])('%s ends the exchange', async (_, answer, code) => {
    const transport = await serve(answer);
    await expect(transport.exchange(COMMAND, { timeoutMs: 100 })).rejects.toMatchObject({ code });
    await expect(transport.exchange(COMMAND, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'transport.closed',
    });
  });
  it('refuses bytes that nobody asked for', async () => {
    const transport = await serve(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    sockets[0]?.write(RESPONSE);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await expect(transport.exchange(COMMAND, { timeoutMs: 500 })).rejects.toMatchObject({
      code: 'tpm.response-malformed',
    });
  });
  it('says that nobody listens', async () => {
    const transport = await serve(() => undefined);
    const { port } = (server as Server).address() as { port: number };
    await transport.close();
    await new Promise((resolve) => server?.close(resolve));
    await expect(
      openSocketTransport({ host: '127.0.0.1', port }, { timeoutMs: 500 }),
    ).rejects.toMatchObject({ code: 'transport.connect-failed' });
    await expect(
      openSocketTransport({ path: '/no/such/socket' }, { timeoutMs: 500 }),
    ).rejects.toMatchObject({ code: 'transport.not-found' });
  });
});

describe('addresses', () => {
  it.each([
    ['/dev/tpmrm0', { device: '/dev/tpmrm0' }],
    ['./tpm', { device: './tpm' }],
    ['tcp:127.0.0.1:2321', { host: '127.0.0.1', port: 2321 }],
    ['tcp:localhost:0', { host: 'localhost', port: 0 }],
    ['tcp:[::1]:65535', { host: '::1', port: 65535 }],
    ['unix:/run/tpm', { path: '/run/tpm' }],
  ])('%s is understood', (text, address) => {
    expect(parseTpmAddress(text)).toEqual(address);
  });
  it.each([
    '',
    'tpm0',
    'tcp:',
    'tcp:host',
    'tcp:host:65536',
    'tcp:host:x',
    'tcp:::1:80',
    'unix:',
    'http://x',
  ])('"%s" is refused', (text) => {
    expect(() => parseTpmAddress(text)).toThrow(
      expect.objectContaining({ code: 'usage.option-invalid' }),
    );
  });
});
