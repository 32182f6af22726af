import type { VerifyOptions } from 'tee-verify';
import { evidenceOf, loadCases, optionsOf } from '../load-cases.js';
import { decodeEvidence, type SignedParts } from './signed-parts.js';

/** One good piece of evidence and what makes it good. */
export interface Seed {
  readonly id: string;
  readonly document: Uint8Array;
  /** The bundle's JSON, for seeds that are bundles. */
  readonly bundle: object | undefined;
  readonly options: VerifyOptions;
  readonly manifest: object;
  readonly signed: SignedParts;
}

/** The committed cases that must be accepted; they do not change from run to run. */
export function loadSeeds(): Seed[] {
  return loadCases()
    .filter(
      ({ expected, precededBy, input, options }) =>
        expected.verdict === 'verified' &&
        precededBy === undefined &&
        input.padTo === undefined &&
        options.manifestKeys === undefined, // signed manifests are read asynchronously
    )
    .map((vector) => {
      const evidence = evidenceOf(vector.input);
      const { document, bundle } = decodeEvidence(evidence);
      const options = optionsOf(vector);
      return {
        id: vector.id,
        document,
        bundle,
        // A bundle that lost its quote on the way must not pass.
        options: bundle ? { ...options, requireQuote: true } : options,
        manifest: vector.manifest as object,
        signed: partsOf(evidence),
      };
    });
}

function partsOf(evidence: string | Uint8Array | object): SignedParts {
  return decodeEvidence(evidence).signed();
}
