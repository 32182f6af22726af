import { type FaultOptions, randomFaults } from './faults.js';
import {
  type ChooseFault,
  type LocalHandler,
  type LocalRequest,
  type LocalResponse,
  type LocalServer,
  startLocalServer,
} from './local-server.js';

/** One AWS service as the emulator serves it. */
export interface EmulatedService {
  /** e.g. `ebs`. */
  readonly name: string;
  /** Whether a request is for this service; all share one address. */
  matches(request: LocalRequest): boolean;
  readonly handle: LocalHandler;
  /** What this service answers when it throttles. */
  readonly throttled: LocalResponse;
}

/** How to set up an emulator. */
export interface EmulatorOptions {
  readonly services: readonly EmulatedService[];
  /** Random faults by rates, or a function of one's own; default none. */
  readonly faults?: FaultOptions | ChooseFault;
  /** Default 0: any free port. */
  readonly port?: number;
}

/** Serves emulated AWS services at one loopback address. Throws `service.listen-failed`. */
export async function startEmulator({
  services,
  faults,
  port,
}: EmulatorOptions): Promise<LocalServer> {
  const serviceOf = (request: LocalRequest): EmulatedService | undefined =>
    services.find((service) => service.matches(request));
  return startLocalServer(
    (request) => serviceOf(request)?.handle(request) ?? { status: 404, body: 'no such service' },
    {
      ...(port !== undefined && { port }),
      ...(faults !== undefined && {
        faults:
          typeof faults === 'function'
            ? faults
            : randomFaults(faults, (request) => serviceOf(request)?.throttled),
      }),
    },
  );
}
