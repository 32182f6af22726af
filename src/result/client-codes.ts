import { type CodeFacts, tabulate } from './codes.js';

/** The rows of the table for clients that fetch evidence and use the attested key (docs/browser.md). */
const TABLE = {
  'fetch.failed': [
    'the attestation endpoint could not be reached',
    'Check the address, the network, and that the endpoint allows this origin (CORS).',
  ],
  'fetch.status': [
    'the attestation endpoint answered with an error',
    'See its log; the address may be wrong.',
  ],
  'fetch.timeout': [
    'the attestation took longer than the time limit',
    'Ask again, or raise timeLimitSeconds.',
  ],
  'binding.key-missing': [
    'the attestation carries no such key',
    'The attester must put its key into public_key or user_data.',
  ],
  'binding.key-unsupported': [
    'the attested bytes are no key of a known form',
    'Known forms: SPKI, JWK, uncompressed point; see docs/browser.md.',
  ],
  'binding.key-mismatch': [
    'the key is not the attested one',
    'Somebody else may be answering. Do not use this key.',
  ],
} as const;

/** A code of a client, e.g. `fetch.timeout`. */
export type ClientCode = keyof typeof TABLE;

/** Every code of a client with its step, meaning and hint. */
export const CLIENT_CODES: Readonly<Record<ClientCode, CodeFacts>> = tabulate(TABLE);
