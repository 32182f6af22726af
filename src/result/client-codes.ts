import { type CodeFacts, tabulate } from './codes.js';

/** The rows of the table for clients that fetch evidence (docs/browser.md). */
const TABLE = {
  'fetch.failed': [
    'the endpoint could not be reached',
    'Check the address, the network, and CORS.',
  ],
  'fetch.status': ['the endpoint answered with an error', 'See its log.'],
  'fetch.timeout': ['the time limit is over', 'Ask again, or raise timeLimitSeconds.'],
} as const;

/** A code of a client, e.g. `fetch.timeout`. */
export type ClientCode = keyof typeof TABLE;

/** Every code of a client with its step, meaning and hint. */
export const CLIENT_CODES: Readonly<Record<ClientCode, CodeFacts>> = tabulate(TABLE);
