import { type CodeFacts, tabulate } from './codes.js';

/** The part of the one table (codes.ts) that belongs to attestation results and challenges. */
const TABLE = {
  // Issuing results.
  'result.report-contradictory': [
    'the report contradicts itself',
    'Pass the report of this verification as it came; nothing is issued for one that somebody edited.',
  ],
  'result.report-not-current': [
    'the report was judged at another time than now',
    'Results speak about now: verify without `now`, and issue the result at once.',
  ],
  'result.signer-failed': [
    'the signer of results failed',
    'See the cause: the key service may be unreachable. Nothing was issued.',
  ],

  // Verifying results.
  'result.malformed': [
    'the token is not an attestation result',
    'Pass the compact JWT that the verifier issued (docs/result.md).',
  ],
  'result.algorithm-unsupported': [
    'the token names an algorithm that is not accepted',
    'Results are signed with ES256, ES384 or EdDSA; unsigned tokens and shared secrets are refused.',
  ],
  'result.type-unsupported': [
    'the token is of another type or profile',
    'A token made for another purpose is no attestation result (docs/result.md).',
  ],
  'result.signature-invalid': [
    'no given key signed the token',
    'It was changed, or comes from another verifier; fetch the verifier\u2019s current JWK set.',
  ],
  'result.expired': ['the token is past its validity', 'Ask the verifier for a new result.'],
  'result.not-yet-valid': [
    'the token was issued in the future',
    'Check the clock of this machine and of the verifier.',
  ],
  'result.audience-mismatch': [
    'the token was issued for somebody else',
    'Another service passed its token on, or the audience is misspelled on one side.',
  ],
  'result.issuer-mismatch': [
    'the token comes from another issuer',
    'Check the issuer that is expected, and the keys that are given.',
  ],
  'result.nonce-mismatch': [
    'the token does not answer the expected nonce',
    'An old or foreign result is being replayed, or the evidence carried no verified nonce.',
  ],
  'result.manifest-mismatch': [
    'the evidence was compared with another manifest',
    'Check which manifest the verifier uses: tee-image manifest show prints its SHA-256.',
  ],
  'result.not-affirming': [
    'the verifier does not affirm that the attester is trustworthy',
    'Do not trust it; the token says why.',
  ],

  // Challenges.
  'challenge.malformed': [
    'the nonce is not a challenge of ours',
    'Ask for a challenge and use it unchanged as the nonce of the evidence.',
  ],
  'challenge.forged': [
    'the challenge was not issued with this key',
    'It was changed, made up, or issued before the key changed; all machines must share the key.',
  ],
  'challenge.wrong-audience': [
    'the challenge was issued for another audience',
    'Ask for a challenge for this audience.',
  ],
  'challenge.expired': ['the challenge is too old', 'Ask for a new one and answer it at once.'],
  'challenge.clock-skew': [
    'the challenge was issued in the future',
    'The clocks of the verifying machines differ: synchronise them.',
  ],
  'challenge.replayed': [
    'the challenge was used before',
    'Each challenge is good for one answer: ask for a new one.',
  ],
  'challenge.store-full': [
    'the store of used challenges is full',
    'Nothing was accepted. Raise the capacity, or share a Redis between machines.',
  ],
  'challenge.store-unavailable': [
    'the store of used challenges does not answer',
    'Nothing was accepted, for it could be a replay. Try again when it is back.',
  ],
  'challenge.store-restarted': [
    'the store of used challenges may have forgotten this one',
    'It started empty after the challenge was issued. Ask for a new challenge.',
  ],
} as const;

/** A code of attestation results and challenges, e.g. `challenge.replayed`. */
export type ResultCode = keyof typeof TABLE;

/** Every code of results and challenges with its step, meaning and hint. */
export const RESULT_CODES: Readonly<Record<ResultCode, CodeFacts>> = tabulate(TABLE);
