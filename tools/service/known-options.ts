import type { VerifierHandlerOptions, VerifierPolicy } from './verifier-options.js';

type Names<T> = Readonly<Record<keyof T, true>>;

const POLICY: Names<Required<VerifierPolicy>> = {
  audience: true,
  manifest: true,
  manifestKeys: true,
  requireQuote: true,
};
const VERIFY_OPTIONS: Names<Required<NonNullable<VerifierHandlerOptions['verifyOptions']>>> = {
  trustAnchors: true,
  clockToleranceSeconds: true,
  provider: true,
};
const OPTIONS: Names<Required<VerifierHandlerOptions>> = {
  policies: true,
  challenges: true,
  signer: true,
  otherPublicKeys: true,
  issuer: true,
  resultLifetimeSeconds: true,
  verifyOptions: true,
  inspect: true,
  maxBodyBytes: true,
  timeoutMs: true,
  maxConcurrent: true,
  rateLimit: true,
  log: true,
};

/**
 * Refuses misspelled and lost options of a handler: a `manifestKeys` that nobody reads, or that is
 * undefined by mistake, would let unsigned manifests pass. TypeError.
 */
export function demandKnownOptions(options: VerifierHandlerOptions): void {
  onlyKnown('options', options, OPTIONS);
  onlyKnown('verifyOptions', options.verifyOptions ?? {}, VERIFY_OPTIONS);
  for (const policy of options.policies) onlyKnown('a policy', policy, POLICY);
}

function onlyKnown(what: string, given: object, known: object): void {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(known, name)) throw new TypeError(`${what}: unknown ${name}`);
    if (value === undefined) throw new TypeError(`${what}: ${name} is undefined: leave it out`);
  }
}
