/**
 * A verifier as a Web-standard handler, for every runtime: `tee-tools/service`. Nothing here needs
 * Node; the Redis store and the command do.
 */
export type { Answer, Exchange } from './exchange.js';
export type { LogEntry } from './log-entry.js';
export type { Route } from './routes.js';
export { createVerifierHandler } from './verifier-handler.js';
export type {
  VerifierHandler,
  VerifierHandlerOptions,
  VerifierPolicy,
} from './verifier-options.js';
