import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bytes, concatBytes } from 'tee-verify/bytes';
import { MAX_TPM_MESSAGE_SIZE } from '../agent/tpm/constants.js';
import { TPM_RC } from '../agent/tpm/response-code.js';
import { describeAddress, type SocketAddress } from '../agent/transport/socket-transport.js';
import { ToolError } from '../common/tool-error.js';
import { errorResponse } from './run-command.js';
import type { TpmSimulator } from './tpm-simulator.js';

/** Options of `listen`. */
export interface ListenOptions {
  /**
   * Also opens the control channel that the tss2 "swtpm" TCTI wants: the next port, or the path
   * with `.ctrl` behind it. Default false.
   */
  readonly control?: boolean;
}

/** A simulator that listens. */
export interface ListeningSimulator {
  /** Where, with the port that was chosen, e.g. `tcp:127.0.0.1:2321`. */
  readonly address: string;
  readonly port: number | undefined;
  close(): Promise<void>;
}

const PORT_ATTEMPTS = 20;
const CONTROL = { GET_CAPABILITY: 1, INIT: 2, SHUTDOWN: 3, SET_LOCALITY: 5, STOP: 14 } as const;

/**
 * Serves a simulator over TCP or a Unix socket: raw commands in, raw responses out. Port 0 means
 * any free port.
 * @throws ToolError `simulator.listen-failed`
 */
export async function listen(
  simulator: TpmSimulator,
  address: SocketAddress,
  { control = false }: ListenOptions = {},
): Promise<ListeningSimulator> {
  const anyPort = 'port' in address && address.port === 0;
  for (let attempt = 1; ; attempt++) {
    const data = await openServer(address, (socket) => serveCommands(simulator, socket));
    const bound = withPort(address, data.server);
    try {
      const servers = [data];
      if (control)
        servers.push(
          await openServer(controlAddress(bound), (socket) => serveControl(simulator, socket)),
        );
      return {
        address: describeAddress(bound),
        port: 'port' in bound ? bound.port : undefined,
        close: async () => {
          await Promise.all(servers.map((one) => one.close()));
        },
      };
    } catch (error) {
      await data.close();
      // The port behind a free port may be taken.
      if (!anyPort || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

interface OpenServer {
  readonly server: Server;
  close(): Promise<void>;
}

async function openServer(
  address: SocketAddress,
  serve: (socket: Socket) => void,
): Promise<OpenServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(
        new ToolError('simulator.listen-failed', {
          actual: `${cause.code ?? cause.message} at ${describeAddress(address)}`,
          cause,
        }),
      );
    });
    server.listen('path' in address ? { path: address.path } : { ...address }, resolve);
  });
  return {
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function withPort(address: SocketAddress, server: Server): SocketAddress {
  const bound = server.address();
  if ('path' in address || bound === null || typeof bound === 'string') return address;
  return { host: address.host, port: bound.port };
}

function controlAddress(address: SocketAddress): SocketAddress {
  return 'path' in address
    ? { path: `${address.path}.ctrl` }
    : { host: address.host, port: address.port + 1 };
}

/** Cuts the stream into commands and answers one after the other. */
function serveCommands(simulator: TpmSimulator, socket: Socket): void {
  let received: Bytes = new Uint8Array(0);
  let busy = false;
  const next = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    while (received.length >= 10 && !socket.destroyed) {
      const size = new DataView(received.buffer).getUint32(2);
      if (size < 10 || size > MAX_TPM_MESSAGE_SIZE) {
        socket.end(errorResponse(TPM_RC.COMMAND_SIZE));
        break;
      }
      if (received.length < size) break;
      const command = received.slice(0, size);
      received = received.slice(size);
      const { bytes, delayMs, endsConnection } = await simulator.execute(command);
      if (delayMs > 0) await sleep(delayMs, undefined, { ref: false });
      if (socket.destroyed) break;
      if (endsConnection) socket.end(bytes);
      else socket.write(bytes);
    }
    busy = false;
  };
  socket.on('data', (chunk) => {
    received = concatBytes(received, chunk);
    // Far more than one command: whoever sends this is no TPM client.
    if (received.length > 16 * MAX_TPM_MESSAGE_SIZE) socket.destroy();
    else next().catch(() => socket.destroy());
  });
}

/** The few commands of swtpm's control channel that tss2 and tests use. */
function serveControl(simulator: TpmSimulator, socket: Socket): void {
  let received: Bytes = new Uint8Array(0);
  socket.on('data', (chunk) => {
    received = concatBytes(received, chunk);
    while (received.length >= 4) {
      const view = new DataView(received.buffer);
      const command = view.getUint32(0);
      const size = command === CONTROL.INIT ? 8 : command === CONTROL.SET_LOCALITY ? 5 : 4;
      if (received.length < size) return;
      socket.write(control(simulator, command, received.slice(4, size)));
      received = received.slice(size);
    }
  });
}

function control(simulator: TpmSimulator, command: number, payload: Uint8Array): Uint8Array {
  switch (command) {
    case CONTROL.GET_CAPABILITY:
      // A result and 64 capability bits: INIT, SHUTDOWN, SET_LOCALITY, STOP.
      return new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x04, 0x0b]);
    case CONTROL.INIT:
      simulator.restart();
      return result(0);
    case CONTROL.SHUTDOWN:
    case CONTROL.STOP:
      return result(0);
    case CONTROL.SET_LOCALITY: {
      const locality = payload[0] as number;
      if (locality > 4) return result(TPM_BAD_LOCALITY);
      simulator.locality = locality;
      return result(0);
    }
    default:
      return result(TPM_BAD_ORDINAL);
  }
}

// TPM 1.2 codes: what swtpm's control channel answers with.
const TPM_BAD_ORDINAL = 0x0a;
const TPM_BAD_LOCALITY = 0x3d;

function result(code: number): Uint8Array {
  return new Uint8Array([0, 0, 0, code]);
}
