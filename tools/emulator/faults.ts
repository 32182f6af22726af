import type { ChooseFault, LocalRequest, LocalResponse } from './local-server.js';

/** How often what goes wrong: rates of 0 to 1. */
export interface FaultOptions {
  /** The same seed gives the same faults; default 1. */
  readonly seed?: number;
  /** Answered with the service's throttling error. */
  readonly throttle?: number;
  /** The connection is cut, half of the time after the request was carried out. */
  readonly reset?: number;
  /** A checksum in the answer's headers is changed. */
  readonly corrupt?: number;
  /** The answer comes `slowMs` later. */
  readonly slow?: number;
  /** Default 500. */
  readonly slowMs?: number;
  /** Only requests for which this is true; default all. */
  readonly only?: (request: LocalRequest) => boolean;
}

/** Faults at random, but the same ones for the same seed and order of requests. */
export function randomFaults(
  options: FaultOptions,
  throttledAnswer: (request: LocalRequest) => LocalResponse | undefined,
): ChooseFault {
  const { throttle = 0, reset = 0, corrupt = 0, slow = 0, slowMs = 500 } = options;
  const { only = () => true } = options;
  const random = seededRandom(options.seed ?? 1);
  return (request) => {
    // Always as many numbers, so that one rate does not shift the others.
    const [draw, side, lateness] = [random(), random(), random()];
    if (!only(request)) return undefined;
    const delay = lateness < slow ? { delayMs: slowMs } : {};
    const answer = throttledAnswer(request);
    if (draw < throttle && answer !== undefined) return { ...delay, answer };
    if (draw < throttle + reset) return { ...delay, reset: side < 0.5 ? 'before' : 'after' };
    if (draw < throttle + reset + corrupt) return { ...delay, change: damageChecksum };
    return delay;
  };
}

/** mulberry32: small, and good enough to choose requests by. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** An acknowledgement of other bytes: its checksum with another first character. */
function damageChecksum(response: LocalResponse): LocalResponse {
  const checksum = response.headers?.['x-amz-checksum'];
  if (checksum === undefined) return response;
  const damaged = (checksum.startsWith('A') ? 'B' : 'A') + checksum.slice(1);
  return { ...response, headers: { ...response.headers, 'x-amz-checksum': damaged } };
}
