import type { JWK } from 'jose';
import type { EvidenceInput, ManifestInput, ManifestKeys, Report, VerifyOptions } from 'tee-verify';
import type { Challenges, Signer } from 'tee-verify/result';
import type { Answer, Exchange } from './exchange.js';
import type { LogEntry } from './log-entry.js';
import type { Route } from './routes.js';

/** What one audience relies on: results for it are about this manifest. */
export interface VerifierPolicy {
  /** The service behind, as it calls itself: becomes `aud` of the results. */
  readonly audience: string;
  readonly manifest: ManifestInput;
  /** Then the manifest must be signed by these. */
  readonly manifestKeys?: ManifestKeys;
  /** Refuses evidence without a TPM quote; default false. */
  readonly requireQuote?: boolean;
}

/** How a verifier handler works. */
export interface VerifierHandlerOptions {
  readonly policies: readonly VerifierPolicy[];
  readonly challenges: Challenges;
  /** Signs the results. */
  readonly signer: Signer;
  /** Further public keys for the JWK set: of before, or of the next signer. */
  readonly otherPublicKeys?: readonly JWK[];
  /** `iss` of the results. */
  readonly issuer?: string;
  /** Default 300. */
  readonly resultLifetimeSeconds?: number;
  /** What `inspectAttestation` is told besides nonce, manifest keys and quote. */
  readonly verifyOptions?: Pick<
    VerifyOptions,
    'trustAnchors' | 'clockToleranceSeconds' | 'provider'
  >;
  /** Verifies; default `inspectAttestation` of tee-verify. A pool of workers fits here. */
  readonly inspect?: (
    evidence: EvidenceInput,
    manifest: ManifestInput,
    options: VerifyOptions,
  ) => Promise<Report>;
  /** Largest request body; default 1.5 MiB. */
  readonly maxBodyBytes?: number;
  /** Longest time for a request; default 10,000. */
  readonly timeoutMs?: number;
  /** How many verifications may be under way at once; default 256. */
  readonly maxConcurrent?: number;
  /** Asked before anything else of a request is read: the seconds to wait, or undefined to go on. */
  readonly rateLimit?: (
    request: Request,
    route: Route,
  ) => Promise<number | undefined> | number | undefined;
  /** Hears one entry for each request; never anything of the evidence. */
  readonly log?: (entry: LogEntry) => void;
}

/** A verifier as a Web-standard handler. */
export interface VerifierHandler {
  (request: Request): Promise<Response>;
  /** From now on `/readyz` says no, so that the load balancer sends nothing more. */
  drain(): void;
  /** The same for an adapter that has no Web request at hand. */
  answer(exchange: Exchange): Promise<Answer>;
}
