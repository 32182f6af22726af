import { type CodeFacts, tabulate } from './codes.js';

/** The rows of the table for using the attested key (docs/browser.md). */
const TABLE = {
  'binding.key-missing': [
    'the attestation carries no such key',
    'The attester must put its key into public_key or user_data.',
  ],
  'binding.key-unsupported': [
    'the attested or the presented bytes are no key of a known form',
    'Known forms: SPKI, JWK, uncompressed point; see docs/browser.md.',
  ],
  'binding.key-mismatch': [
    'the key is not the attested one',
    'Somebody else may be answering. Do not use this key.',
  ],
} as const;

/** A code of using the attested key, e.g. `binding.key-mismatch`. */
export type BindingCode = keyof typeof TABLE;

/** Every code of using the attested key with its step, meaning and hint. */
export const BINDING_CODES: Readonly<Record<BindingCode, CodeFacts>> = tabulate(TABLE);
