import { inspectAttestation, type VerifyOptions } from 'tee-verify';
import { decodeHex, encodeHex } from 'tee-verify/bytes';
import { type IssueOptions, issueResult } from 'tee-verify/result';
import { ToolError } from '../common/tool-error.js';
import type { Answer, Exchange } from './exchange.js';
import { demandKnownOptions } from './known-options.js';
import { Metrics } from './metrics.js';
import { openApiDocument } from './openapi.js';
import { type Problem, problemOf, reasonOf, rejection } from './problem.js';
import { readVerificationRequest, textOf, webBody } from './read-body.js';
import { ROUTES, type Route } from './routes.js';
import type {
  VerifierHandler,
  VerifierHandlerOptions,
  VerifierPolicy,
} from './verifier-options.js';

const DEFAULT_MAX_BODY_BYTES = 1_572_864;
const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_CONCURRENT = 256;
const READY_TIMEOUT_MS = 2000;
const MAX_AUDIENCE_CHARACTERS = 1024;
const JSON_TYPE = 'application/json';
const PROBLEM_TYPE = 'application/problem+json';

/** What is the same for every request of an audience. */
interface PreparedPolicy {
  readonly audience: string;
  readonly manifest: VerifierPolicy['manifest'];
  /** All but the nonce. */
  readonly verifyOptions: VerifyOptions;
  readonly issueOptions: IssueOptions;
}

/** What a request turned out to be, for log and metrics. */
interface Outcome {
  readonly answer: Answer;
  readonly code?: string | undefined;
  readonly audience?: string | undefined;
}

/**
 * A verifier as a Web-standard handler: `(Request) => Promise<Response>`, for Node, Deno, Bun,
 * workers and Lambda alike. Without state but for the store of the challenges: run as many as are
 * needed. The paths are in `/openapi.json`; errors are RFC 9457 problems with a stable `code`.
 * TypeError for options that cannot be used.
 */
export function createVerifierHandler(options: VerifierHandlerOptions): VerifierHandler {
  return new Verifier(options).handler();
}

class Verifier {
  readonly #options: VerifierHandlerOptions;
  readonly #policies: ReadonlyMap<string, PreparedPolicy>;
  readonly #metrics = new Metrics();
  readonly #maxBodyBytes: number;
  readonly #timeoutMs: number;
  readonly #maxConcurrent: number;
  readonly #openApi: string;
  readonly #jwks: string;
  #draining = false;

  constructor(options: VerifierHandlerOptions) {
    this.#options = { ...options };
    const { policies, signer, otherPublicKeys = [] } = options;
    demandKnownOptions(options);
    this.#policies = new Map(
      policies.map((policy) => [policy.audience, preparePolicy(policy, options)]),
    );
    if (policies.length === 0 || this.#policies.size !== policies.length)
      throw new TypeError('policies must be one or more, each for another audience');
    for (const { audience, manifest } of policies)
      if (
        typeof audience !== 'string' ||
        audience === '' ||
        audience.length > MAX_AUDIENCE_CHARACTERS ||
        manifest === undefined
      )
        throw new TypeError(
          `a policy has an audience (1 to ${MAX_AUDIENCE_CHARACTERS} characters) and a manifest`,
        );
    this.#maxBodyBytes = positive('maxBodyBytes', options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES);
    this.#timeoutMs = positive('timeoutMs', options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    this.#maxConcurrent = positive(
      'maxConcurrent',
      options.maxConcurrent ?? DEFAULT_MAX_CONCURRENT,
    );
    const keys = [
      ...(signer.publicJwk === undefined ? [] : [signer.publicJwk]),
      ...otherPublicKeys,
    ];
    if (keys.length === 0) throw new TypeError('the signer must know its public key');
    if (keys.some(({ d, k }) => d !== undefined || k !== undefined))
      throw new TypeError('the JWK set is public: no private key belongs into it');
    this.#jwks = JSON.stringify({ keys });
    this.#openApi = JSON.stringify(openApiDocument(this.#maxBodyBytes));
  }

  handler(): VerifierHandler {
    const handle = async (request: Request): Promise<Response> => {
      const { status, headers, body } = await this.#handle(exchangeOf(request));
      return new Response(body, { status, headers });
    };
    return Object.assign(handle, {
      answer: (exchange: Exchange) => this.#handle(exchange),
      drain: () => {
        this.#draining = true;
      },
      maxBodyBytes: this.#maxBodyBytes,
    });
  }

  async #handle(exchange: Exchange): Promise<Answer> {
    const startedMs = performance.now();
    const requestId = globalThis.crypto.randomUUID();
    const { pathname, query } = splitUrl(exchange.url);
    const route = Object.hasOwn(ROUTES, pathname) ? (pathname as Route) : undefined;
    let outcome: Outcome;
    let failed = false;
    let reason: string | undefined;
    try {
      outcome = await this.#answer(exchange, route, query, startedMs);
    } catch (error) {
      const problem = problemOf(error);
      failed = problem === undefined;
      outcome = problemOutcome(
        problem ?? (problemOf(new ToolError('service.internal')) as Problem),
      );
      if (outcome.answer.status >= 500) reason = reasonOf(error);
    }
    const { answer, code, audience } = outcome;
    const { status } = answer;
    answer.headers['x-request-id'] = requestId;
    this.#metrics.request(route ?? 'other', status);
    this.#options.log?.({
      time: new Date().toISOString(),
      level: failed ? 'error' : status >= 500 ? 'warn' : 'info',
      event: failed ? 'failure' : 'request',
      requestId,
      method: METHODS.has(exchange.method) ? exchange.method : 'other',
      route: route ?? 'other',
      status,
      durationMs: Math.round((performance.now() - startedMs) * 1000) / 1000,
      ...(code !== undefined && { code }),
      ...(audience !== undefined && { audience }),
      ...(reason !== undefined && { error: reason }),
    });
    return answer;
  }

  async #answer(
    exchange: Exchange,
    route: Route | undefined,
    query: string,
    startedMs: number,
  ): Promise<Outcome> {
    if (route === undefined) throw new ToolError('service.not-found');
    if (exchange.method !== ROUTES[route]) {
      const outcome = problemOutcome(
        problemOf(new ToolError('service.method-not-allowed')) as Problem,
      );
      outcome.answer.headers.allow = ROUTES[route];
      return outcome;
    }
    switch (route) {
      case '/healthz':
        return { answer: json(200, '{"status":"ok"}') };
      case '/readyz':
        return this.#ready();
      case '/metrics':
        return { answer: text(this.#metrics.text()) };
      case '/openapi.json':
        return { answer: json(200, this.#openApi, 'public, max-age=300') };
      case '/.well-known/jwks.json':
        return { answer: json(200, this.#jwks, 'public, max-age=300') };
    }
    const waitSeconds = await this.#options.rateLimit?.(exchange.request(), route);
    if (waitSeconds !== undefined) {
      const problem = problemOf(new ToolError('service.rate-limited')) as Problem;
      return problemOutcome({ ...problem, retryAfterSeconds: wholeSeconds(waitSeconds) });
    }
    if (route === '/v1/challenge')
      return this.#challenge(new URLSearchParams(query).get('audience') ?? undefined);
    if (this.#metrics.inFlight >= this.#maxConcurrent) throw new ToolError('service.overloaded');
    this.#metrics.inFlight++;
    return withTimeout(
      (late) =>
        this.#result(exchange, startedMs, late).finally(() => {
          this.#metrics.inFlight--;
        }),
      this.#timeoutMs,
      () => {
        exchange.stop();
        return new ToolError('service.timeout');
      },
    );
  }

  async #ready(): Promise<Outcome> {
    if (this.#draining) throw new ToolError('service.draining');
    const { store } = this.#options.challenges;
    try {
      await withTimeout(
        () => store.check?.() ?? Promise.resolve(),
        READY_TIMEOUT_MS,
        () => new ToolError('service.timeout'),
      );
    } catch (error) {
      throw problemOf(error) === undefined ? new ToolError('service.overloaded') : error;
    }
    return { answer: json(200, '{"status":"ready"}') };
  }

  #policy(audience: string | undefined): PreparedPolicy {
    const [only] = this.#policies.values();
    const policy =
      audience !== undefined
        ? this.#policies.get(audience)
        : this.#policies.size === 1
          ? only
          : undefined;
    if (policy === undefined) throw new ToolError('service.audience-unknown');
    return policy;
  }

  #challenge(wanted: string | undefined): Outcome {
    const { audience } = this.#policy(wanted);
    const { nonce, expiresAtMs } = this.#options.challenges.issue(audience);
    this.#metrics.challenge();
    const body = {
      nonce: encodeHex(nonce),
      audience,
      expiresAt: new Date(expiresAtMs).toISOString(),
    };
    return { answer: json(200, JSON.stringify(body)), audience };
  }

  /** Evidence in, result out. The challenge is used up before anything expensive is done. */
  async #result(exchange: Exchange, startedMs: number, late: Promise<never>): Promise<Outcome> {
    const given = await readVerificationRequest(exchange, this.#maxBodyBytes, late);
    const { audience, manifest, verifyOptions, issueOptions } = this.#policy(given.audience);
    const { challenges, signer, inspect } = this.#options;
    const done = (code: string): void =>
      this.#metrics.result(code, (performance.now() - startedMs) / 1000);
    await challenges.consume(given.nonce, audience);
    const options = { ...verifyOptions, nonce: decodeHex(given.nonce) as Uint8Array };
    const report = await (inspect === undefined
      ? inspectAttestation(given.evidence, manifest, options)
      : inspect(textOf(given.evidence), manifest, options));
    if (report.verdict !== 'verified') {
      const problem = rejection(report);
      done(problem.code);
      return { ...problemOutcome(problem), audience };
    }
    const token = await issueResult(report, signer, issueOptions);
    done('verified');
    // The digits of base64url and dots: nothing to escape.
    return { answer: json(200, `{"token":"${token}"}`), audience, code: 'verified' };
  }
}

function preparePolicy(
  { audience, manifest, manifestKeys, requireQuote }: VerifierPolicy,
  { verifyOptions, issuer, resultLifetimeSeconds }: VerifierHandlerOptions,
): PreparedPolicy {
  return {
    audience,
    manifest,
    verifyOptions: {
      ...verifyOptions,
      ...(manifestKeys !== undefined && { manifestKeys }),
      ...(requireQuote !== undefined && { requireQuote }),
    },
    issueOptions: {
      audience,
      ...(issuer !== undefined && { issuer }),
      ...(resultLifetimeSeconds !== undefined && { lifetimeSeconds: resultLifetimeSeconds }),
    },
  };
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS']);

function json(status: number, body: string, cache = 'no-store'): Answer {
  return { status, body, headers: headers(JSON_TYPE, cache) };
}

function text(body: string): Answer {
  return { status: 200, body, headers: headers('text/plain; version=0.0.4; charset=utf-8') };
}

function problemOutcome({ retryAfterSeconds, ...problem }: Problem): Outcome {
  const { status, code } = problem;
  const answer = { status, body: JSON.stringify(problem), headers: headers(PROBLEM_TYPE) };
  if (retryAfterSeconds !== undefined) answer.headers['retry-after'] = String(retryAfterSeconds);
  return { answer, code };
}

/** Of a path with a query, or of a whole URL. */
function splitUrl(url: string): { readonly pathname: string; readonly query: string } {
  if (url.startsWith('/')) {
    const at = url.indexOf('?');
    return at < 0
      ? { pathname: url, query: '' }
      : { pathname: url.slice(0, at), query: url.slice(at) };
  }
  try {
    const { pathname, search } = new URL(url);
    return { pathname, query: search };
  } catch {
    return { pathname: '', query: '' };
  }
}

function exchangeOf(request: Request): Exchange {
  return {
    method: request.method,
    url: request.url,
    contentType: request.headers.get('content-type') ?? '',
    ...webBody(request),
    request: () => request,
  };
}

function headers(type: string, cache = 'no-store'): Record<string, string> {
  return { 'content-type': type, 'cache-control': cache, 'x-content-type-options': 'nosniff' };
}

/** Runs work for so long at most; it hears when it is too late. */
async function withTimeout<T>(
  work: (late: Promise<never>) => Promise<T>,
  ms: number,
  error: () => Error,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(error()), ms);
  });
  try {
    return await Promise.race([work(late), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Retry-After takes nothing else; a limit that says something odd still limits. */
function wholeSeconds(seconds: number): number {
  return Number.isFinite(seconds) && seconds > 0 ? Math.ceil(seconds) : 1;
}

function positive(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new TypeError(`${name} must be a whole number, 1 or more`);
  return value;
}
