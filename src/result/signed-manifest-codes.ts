import { type CodeFacts, tabulate } from './codes.js';

/** The part of the one table (codes.ts) that belongs to signed manifests; loaded only with them. */
const TABLE = {
  'manifest.expired': [
    'the signature of the manifest is past its validity',
    'Fetch the current manifest from its publisher, or have it signed again.',
  ],
  'manifest.not-yet-valid': [
    'the signature of the manifest is not yet valid',
    'Check the clock of this machine, or wait until the publisher\u2019s date.',
  ],
  'manifest.version-too-old': [
    'the manifest is older than one that was accepted before',
    'Somebody offers an old manifest, which may accept withdrawn images: fetch the current one.',
  ],
  'manifest.threshold-not-met': [
    'too few of the given signers signed the manifest',
    'Collect the missing signatures (tee-image manifest sign adds one), or lower the threshold deliberately.',
  ],
} as const;

/** A code of signed manifests, e.g. `manifest.expired`. */
export type SignedManifestCode = keyof typeof TABLE;

/** Every code of signed manifests with its step, meaning and hint. */
export const SIGNED_MANIFEST_CODES: Readonly<Record<SignedManifestCode, CodeFacts>> =
  tabulate(TABLE);
